"""What can be read from the Dockerfile without building it."""

import tomllib
from pathlib import Path

import pytest
from dockerfile import Stage, read_dockerfile

ROOT = Path(__file__).resolve().parent.parent.parent
STAGES = read_dockerfile(ROOT / "docker" / "Dockerfile")
IMAGES = [STAGES["serving"], STAGES["batch"]]


def words(stage: Stage) -> list[str]:
    return [step.word for step in stage.steps]


@pytest.mark.parametrize("stage", IMAGES, ids=lambda stage: stage.name)
def test_an_image_runs_as_a_user_without_root_and_nothing_is_installed_after(stage: Stage) -> None:
    user = stage.last("USER")
    assert user is not None
    assert user.rest == "potluck"
    assert not {"RUN", "COPY"} & set(words(stage)[words(stage).index("USER") :])
    (made,) = [step.rest for step in STAGES[stage.base].steps if step.word == "RUN"]
    assert "useradd --uid 10001" in made
    assert made.endswith("/var/lib/potluck /mlartifacts")


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_packages_come_with_their_hashes_or_are_this_project_s_own(stage: Stage) -> None:
    installs = [step.script for step in stage.steps if step.word == "RUN" and "pip " in step.script]
    for script in installs:
        assert "--require-hashes" in script or "--no-deps" in script


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_what_is_copied_is_there_and_in_the_build_s_context(stage: Stage) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for step in stage.steps:
        if step.word == "COPY":
            for source in step.words[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored or any(
                    Path(source).match(line.removeprefix("!")) for line in ignored[2:]
                )


def test_the_wheel_s_stage_copies_every_package_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = [step.words[:-1] for step in STAGES["wheel"].steps if step.word == "COPY"]
    assert set(packages) < {source for sources in copied for source in sources}


def test_a_step_that_the_reader_does_not_know_is_told(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a AS b\nADD x y\n")
    with pytest.raises(ValueError, match="found ADD"):
        read_dockerfile(tmp_path / "Dockerfile")


def test_the_reader_joins_lines_and_takes_steps_apart(tmp_path: Path) -> None:
    text = "FROM a AS b\n# no step\nENV A=1 \\\n    B=2\n"
    text += "RUN --mount=type=bind,from=w,source=/s,target=/t x \\\n  && y\n"
    (tmp_path / "Dockerfile").write_text(text + 'HEALTHCHECK --interval=1s \\\n  CMD ["c", "d"]\n')
    (stage,) = read_dockerfile(tmp_path / "Dockerfile").values()
    variables, run, health = stage.steps
    assert variables.variables == {"A": "1", "B": "2"}
    assert (run.script, run.mounts) == (
        "x && y",
        [{"type": "bind", "from": "w", "source": "/s", "target": "/t"}],
    )
    assert health.argv == ["c", "d"]
