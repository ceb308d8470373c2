"""An MLflow that other teams share: our models have a tag, and a bad one does not stop the rest."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import warm_python
from mlflow.exceptions import MlflowException

from potluck.contract.errors import MissingStepError, UsageError
from potluck.contract.settings import Settings
from potluck.scoring.releases import Releases
from training.pull import FIRST_PAUSE, Follower, pull_champions
from training.registry import CHAMPION, PROJECT_TAG, Registry

OTHERS = 160
SECONDS = 60
BAD = {"iris_copy", "iris_fraud", "iris_gone"}
"""Models that bear our tag, and whose champion is no bundle of theirs."""


@dataclass(frozen=True)
class Shared:
    """A registry with a hundred and more models of others, sorted before ours."""

    uri: str
    ours: set[str]

    def settings(self, home: Path, **options: Any) -> Settings:
        return Settings(home=home, mlflow_tracking_uri=self.uri, **options)


@pytest.fixture(scope="module")
def shared(iris: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    shutil.copy(iris.home / "mlflow.db", folder / "mlflow.db")
    found = Shared(f"sqlite:///{folder / 'mlflow.db'}", {iris.repo.hybrid, iris.repo.realtime})
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.setenv(name, found.uri)
        fill(
            Registry(found.settings(folder / "home", repo=iris.repo.path)), folder, iris.repo.hybrid
        )
        yield found


def fill(registry: Registry, folder: Path, hybrid: str) -> None:
    for number in range(OTHERS):
        add(registry, f"a_model_{number:03}", "file:///nowhere", {})
    add(registry, "churn", "file:///nowhere", {PROJECT_TAG: "crm"})
    add(registry, "iris_gone", f"file://{folder}/gone", {PROJECT_TAG: "iris"})
    (folder / "pickle").mkdir()
    (folder / "pickle" / "model.pkl").write_bytes(b"no bundle")
    add(registry, "iris_fraud", f"file://{folder}/pickle", {PROJECT_TAG: "iris"})
    bundle = registry.download(hybrid, "1", folder)
    add(registry, "iris_copy", f"file://{bundle}", {PROJECT_TAG: "iris"})


def add(registry: Registry, name: str, source: str, tags: dict[str, str]) -> None:
    registry.client.create_registered_model(name, tags=tags)
    version = registry.client.create_model_version(name, source=source)
    registry.client.set_registered_model_alias(name, CHAMPION, str(version.version))


@pytest.fixture
def settings(iris: Any, shared: Shared, tmp_path: Path) -> Settings:
    """A home that follows the shared registry."""
    return shared.settings(tmp_path / "home", repo=iris.repo.path)


def laid_down(settings: Settings) -> set[str]:
    return set(Releases(settings.releases).services())


def test_ours_are_laid_down_and_the_bad_ones_named(shared: Shared, settings: Settings) -> None:
    pull = pull_champions(settings)
    assert {each.service for each in pull.pulled} == shared.ours == laid_down(settings)
    assert {service for service, _ in pull.failed} == BAD
    assert pull.unclear == []
    said = {service: str(error) for (service, _), error in pull.failed.items()}
    assert "holds no bundle: its artifacts at" in said["iris_gone"]
    assert "holds no bundle: its artifacts at" in said["iris_fraud"]
    assert "iris_copy is a bundle of iris_hybrid" in said["iris_copy"]


def test_the_verb_ends_with_1_and_says_both(iris: Any, shared: Shared, settings: Settings) -> None:
    ended = verb(settings, "pull")
    assert ended.returncode == 1
    assert {line.split()[0] for line in ended.stdout.splitlines()} == shared.ours
    assert all(f"the champion of {name} (version 1)" in ended.stderr for name in BAD)
    assert "churn" not in ended.stderr
    assert "a_model" not in ended.stderr


def test_a_home_without_a_repo_takes_every_project_or_the_named_one(
    shared: Shared, tmp_path: Path
) -> None:
    alone = shared.settings(tmp_path / "alone", repo=tmp_path / "no repo")
    pull = pull_champions(alone)
    assert {service for service, _ in pull.failed} == {*BAD, "churn"}
    assert laid_down(alone) == shared.ours
    named = shared.settings(
        tmp_path / "named", repo=tmp_path / "no repo", mlflow_projects="iris, nobody"
    )
    assert {service for service, _ in pull_champions(named).failed} == BAD
    nobody = shared.settings(
        tmp_path / "nobody", repo=tmp_path / "no repo", mlflow_projects="nobody"
    )
    with pytest.raises(MissingStepError, match="holds no champion of project nobody"):
        pull_champions(nobody)


def test_the_option_names_the_project(settings: Settings) -> None:
    ended = verb(settings, "pull", "--project", "nobody")
    assert ended.returncode == 1
    assert "holds no champion of project nobody" in ended.stderr
    assert laid_down(settings) == set()


def test_a_project_that_the_home_serves_already_is_followed_from_another_repo(
    iris: Any, shared: Shared, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(iris.settings.releases, home / "releases")
    elsewhere = shared.settings(home, repo=iris.repo.path.parent / "breast_cancer")
    assert Registry(elsewhere).projects == {"iris", "breast_cancer"}


def test_a_model_that_one_may_not_read_harms_no_other(
    shared: Shared, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = Registry.download

    def forbidden(self: Registry, service: str, version: str, folder: Path) -> Path:
        if service == "iris_hybrid":
            raise MlflowException("Permission denied", error_code=7)
        return download(self, service, version, folder)

    monkeypatch.setattr(Registry, "download", forbidden)
    pull = pull_champions(settings)
    assert {each.service for each in pull.pulled} == shared.ours - {"iris_hybrid"}
    assert {service for service, _ in pull.failed} == {*BAD, "iris_hybrid"}


def test_a_model_of_which_mlflow_does_not_say_whose_it_is_harms_no_other(
    shared: Shared, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_of_run = Registry.project_of_run

    def broken(self: Registry, name: str, version: str) -> str | None:
        if name == "a_model_007":
            raise MlflowException("the database says no")
        return project_of_run(self, name, version)

    monkeypatch.setattr(Registry, "project_of_run", broken)
    pull = pull_champions(settings)
    assert {each.service for each in pull.pulled} == shared.ours
    assert [str(error) for error in pull.unclear] == [
        "MLflow does not say whose model a_model_007 is: the database says no"
    ]


def test_a_version_that_was_not_taken_is_fetched_again_after_a_pause_only(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    download, fetched, now = Registry.download, Counter[str](), [0.0]

    def noted(self: Registry, service: str, version: str, folder: Path) -> Path:
        fetched[service] += 1
        return download(self, service, version, folder)

    monkeypatch.setattr(Registry, "download", noted)
    follower = Follower(settings, lambda: now[0])
    assert len(follower.pull().failed) == len(BAD)
    assert len(follower.pull().failed) == len(BAD), "it is told of, whether or not it is tried"
    assert set(fetched.values()) == {1}
    now[0] += FIRST_PAUSE
    follower.pull()
    now[0] += FIRST_PAUSE
    follower.pull()
    assert {fetched[service] for service in BAD} == {2}


def test_the_watcher_goes_on_and_tells_an_error_once(shared: Shared, settings: Settings) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "cli.main", "pull", "--every", "1"]
    watcher = warm_python.start(
        command,
        env=environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        watcher.wait(20)
    watcher.terminate()
    _, said = watcher.communicate(timeout=SECONDS)
    assert laid_down(settings) == shared.ours
    assert Counter(said.split()).get("looking") == len(BAD)


def test_a_name_that_is_anothers_is_not_trained_into(settings: Settings) -> None:
    registry = Registry(settings)
    registry.check_owner("iris_hybrid", "iris")
    registry.check_owner("nobodys_yet", "iris")
    with pytest.raises(
        UsageError, match="holds a model churn of project crm, and iris is to train"
    ):
        registry.check_owner("churn", "iris")
    with pytest.raises(UsageError, match="holds a model a_model_001 of another team"):
        registry.check_owner("a_model_001", "iris")


def environment(settings: Settings) -> dict[str, str]:
    ours = ("POTLUCK_", "REDIS_URL", "MLFLOW_", "FEAST_REGISTRY_URL")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {
        **inherited,
        "POTLUCK_HOME": str(settings.home),
        "POTLUCK_REPO": str(settings.repo),
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
    }


def verb(settings: Settings, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-W", "ignore", "-m", "cli.main", *words]
    return warm_python.run(
        command, env=environment(settings), capture_output=True, text=True, timeout=SECONDS
    )
