"""The front door: verbs, options, exit codes, and where errors go."""

import fcntl
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import cli.stack.status
from cli.main import VERBS, main, potluck
from cli.options import Moment
from potluck.contract import errors
from potluck.contract.errors import PotluckError, RequestError
from potluck.contract.settings import Settings

PROMISED = {
    "init": {"--label", "--key", "--time", "--name", "--to"},
    "ingest": {"--rows", "--seed", "--append", "--replace", "--undo"},
    "apply": set(),
    "materialize": {"--as-of", "--force"},
    "train": {"--promote", "--force"},
    "pull": {"--every", "--project"},
    "nightly": {"--as-of"},
    "export": {"--to", "--details"},
    "promote": set(),
    "compare": set(),
    "retire": set(),
    "serve": {"--host", "--port", "--workers"},
    "schedule": {"--cron"},
    "up": {"--port", "--nightly"},
    "down": set(),
    "status": set(),
    "env": set(),
    "predict": {"--to", "--only-known"},
    "lookup": set(),
}
HEAVY = (
    "feast",
    "mlflow",
    "pandas",
    "uvicorn",
    "sklearn",
    "lightgbm",
    "pyarrow",
    "duckdb",
    "fastapi",
    "apscheduler",
)
ERRORS = [
    each
    for each in vars(errors).values()
    if isinstance(each, type)
    and issubclass(each, PotluckError)
    and not issubclass(each, RequestError)
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test.

    A verb also writes its settings to the environment, which is put back.
    """
    for name in Settings(home=tmp_path).variables():
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """A verb as a user runs it."""
    command = [sys.executable, "-m", "cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def options(verb: str) -> set[str]:
    command = potluck.get_command(click.Context(potluck), verb)
    assert command is not None
    return {name for parameter in command.params for name in parameter.opts}


def test_help_lists_every_verb_with_what_it_does() -> None:
    said = CliRunner().invoke(potluck, ["--help"])
    assert said.exit_code == 0
    for verb in VERBS:
        (line,) = [line for line in said.output.splitlines() if line.split()[:1] == [verb]]
        assert len(line.split()) > 3


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_takes_repo_and_json(verb: str) -> None:
    assert CliRunner().invoke(potluck, [verb, "--help"]).exit_code == 0
    assert {"--repo", "--json"} <= options(verb)


@pytest.mark.parametrize("verb", PROMISED)
def test_the_promised_options_are_there(verb: str) -> None:
    assert PROMISED[verb] <= options(verb)


def test_the_front_door_and_its_help_import_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from cli.main import potluck; "
        "CliRunner().invoke(potluck, ['--help']); "
        f"print(sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_verb_is_imported_when_it_is_called() -> None:
    code = "import sys, cli.main; print(sorted(set(sys.modules) & set(cli.main.VERBS.values())))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "words", [["env", "--nope"], ["bake"], ["train"], ["serve", "--port", "many"], ["--nope"]]
)
def test_a_wrong_command_line_ends_with_2_and_a_hint(words: list[str]) -> None:
    ended = run(*words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Usage:" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "words", [["env", "--repo"], ["ingest", "--rows", "0"], ["nightly", "--as-of", "tomorrow"]]
)
def test_a_wrong_value_ends_with_2(words: list[str]) -> None:
    assert run(*words).returncode == 2


def test_a_repo_that_is_none_ends_with_2_and_says_what_was_expected() -> None:
    ended = run("ingest", "--repo", "nowhere")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "feature_store.yaml" in ended.stderr


def test_a_server_that_does_not_answer_ends_with_1() -> None:
    ended = run("predict", "price", "{}", "--url", "http://127.0.0.1:9")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("potluck: no Potluck server answers at http://127.0.0.1:9")


@pytest.mark.parametrize("record", ["{area: 8450}", '{"area": }', '{"area": 8450'])
def test_a_record_that_is_no_json_is_told_before_it_is_sent(record: str) -> None:
    ended = run("predict", "price", record, "--url", "http://127.0.0.1:9")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "potluck: expected a JSON record such as '{" in ended.stderr
    assert f"got {record} (" in ended.stderr


def test_a_home_that_is_up_already_ends_with_75(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"unix://{home}/nobody.sock")
    home.mkdir()
    with (home / "up.pid").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ended = run("up")
    assert ended.returncode == 75
    assert "up already" in ended.stderr


@pytest.fixture(params=ERRORS, ids=lambda each: each.__name__)
def raised(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> PotluckError:
    """Each error of the tree in turn, raised by `potluck status`."""
    error: PotluckError = request.param("expected this, got that; do so")

    def fail(_: Settings) -> Any:
        raise error

    monkeypatch.setattr(cli.stack.status, "home_status", fail)
    return error


def test_an_error_ends_with_its_own_code_and_words(
    raised: PotluckError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["potluck", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == raised.exit_code
    assert capsys.readouterr() == ("", "potluck: expected this, got that; do so\n")


def test_with_json_an_error_is_a_document_on_standard_error(
    raised: PotluckError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["potluck", "status", "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == raised.exit_code
    assert said.out == ""
    assert json.loads(said.err) == {
        "error": type(raised).__name__,
        "message": "expected this, got that; do so",
    }


def test_an_interrupt_ends_with_130_and_without_a_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: Settings) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.stack.status, "home_status", interrupt)
    monkeypatch.setattr(sys, "argv", ["potluck", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert "Traceback" not in capsys.readouterr().err


def test_status_of_a_fresh_home_is_one_json_document(home: Path) -> None:
    ended = run("status", "--json")
    assert ended.returncode == 0
    said = json.loads(ended.stdout)
    assert said["home"] == str(home)
    assert said["champions"] == {}


def test_a_flag_goes_before_the_environment(tmp_path: Path) -> None:
    ended = run("env", "--json", "--repo", "somewhere")
    assert json.loads(ended.stdout)["POTLUCK_REPO"] == str(tmp_path / "somewhere")


def test_env_can_be_evaluated_whatever_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "a b'c $HOME"
    monkeypatch.setenv("POTLUCK_HOME", str(odd))
    script = f'eval "$({sys.executable} -m cli.main env)" && printf %s "$POTLUCK_HOME"'
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("REDIS_URL", "FEAST_REGISTRY_URL")
    }
    said = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env=clean
    )
    assert said.stdout == str(odd)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2010-07-31", datetime(2010, 7, 31, tzinfo=UTC)),
        ("2010-07-31T18:00:00", datetime(2010, 7, 31, 18, tzinfo=UTC)),
        ("2010-07-31T18:00:00+02:00", datetime(2010, 7, 31, 16, tzinfo=UTC)),
        ("2010-07-31T18:00:00Z", datetime(2010, 7, 31, 18, tzinfo=UTC)),
    ],
)
def test_a_date_is_midnight_utc_and_a_zone_is_minded(text: str, expected: datetime) -> None:
    moment = Moment().convert(text, None, None)
    assert moment == expected
    assert moment.tzinfo is UTC


@pytest.mark.parametrize("text", ["", "yesterday", "2010-13-01", "31.7.2010"])
def test_what_is_no_date_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="2010-07-31"):
        Moment().convert(text, None, None)
