"""Promotion and retirement, with the server that answers; another team's models; pages."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import training.registry
from potluck.contract.settings import Settings
from training.registry import CHALLENGER, CHAMPION, Registry

SECONDS = 30


@pytest.fixture(scope="module")
def candidates(iris: Any) -> Iterator[dict[str, str]]:
    """The champion's version, and a challenger; the champion is put back afterwards."""
    champion = served(iris)
    assert champion is not None
    told(iris, "promote", iris.repo.hybrid, champion)  # other tests promote past MLflow
    options = ("--seed", "11", "--param", "num_iterations=30", "--json")
    trained = json.loads(iris.verb("train", iris.repo.hybrid, *options).stdout)
    yield {"champion": champion, "challenger": trained["model_version"]}
    told(iris, "promote", iris.repo.hybrid, champion)
    wait_for(lambda: served(iris) == champion)


def served(stack: Any) -> str | None:
    services = stack.get("/services").json()["services"]
    versions = {entry["service"]: entry["model_version"] for entry in services}
    return versions.get(stack.repo.hybrid)


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def told(stack: Any, *words: str) -> Any:
    """A verb's JSON document."""
    ended = stack.verb(*words, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_the_challenger_is_promoted_and_the_former_champion_told(
    iris: Any, candidates: dict[str, str]
) -> None:
    promoted = told(iris, "promote", iris.repo.hybrid)
    assert promoted["changed"]
    assert promoted["model_version"] == candidates["challenger"]
    assert promoted["former"] == candidates["champion"]
    wait_for(lambda: served(iris) == candidates["challenger"])
    again = iris.verb("promote", iris.repo.hybrid, candidates["challenger"])
    assert again.returncode == 0
    assert "is the champion already" in again.stdout
    without = iris.verb("promote", iris.repo.hybrid)
    assert without.returncode == 2
    assert f"{iris.repo.hybrid} has no challenger; name a version: " in without.stderr
    assert f"{candidates['challenger']} (champion)" in without.stderr


def test_versions_stand_side_by_side(iris: Any, candidates: dict[str, str]) -> None:
    found = told(
        iris, "compare", iris.repo.hybrid, candidates["champion"], candidates["challenger"]
    )
    first, second = found["versions"]
    assert [first["model_version"], second["model_version"]] == list(candidates.values())
    assert first["metrics"]["log_loss"] != second["metrics"]["log_loss"]
    assert found["same_rows"]
    assert set(found["differing_parameters"]) >= {"seed", "num_iterations"}
    assert found["differing_columns"] == {}
    text = iris.verb("compare", iris.repo.hybrid, *candidates.values()).stdout
    assert "measured on the same rows" in text
    assert "log_loss" in text


def test_versions_that_were_measured_on_other_rows_are_told_so(
    iris: Any, candidates: dict[str, str]
) -> None:
    source = iris.settings.data_folder("iris") / "observations.parquet"
    before = source.read_bytes()
    try:
        drop_last_row(iris, source)
        trained = told(iris, "train", iris.repo.hybrid)
    finally:
        source.write_bytes(before)
    found = told(
        iris, "compare", iris.repo.hybrid, candidates["champion"], trained["model_version"]
    )
    assert not found["same_rows"]
    text = iris.verb(
        "compare", iris.repo.hybrid, candidates["champion"], trained["model_version"]
    ).stdout
    assert "NOT measured on the same rows" in text


def drop_last_row(stack: Any, source: Path) -> None:
    code = "import sys, pyarrow.parquet as pq; t = pq.read_table(sys.argv[1]); "
    code += "pq.write_table(t[:-1], sys.argv[1])"
    stack.python(code, str(source))


def test_usage_errors_end_with_2_and_name_what_there_is(
    iris: Any, candidates: dict[str, str]
) -> None:
    hybrid, realtime = iris.repo.hybrid, iris.repo.realtime
    for words, said in (
        (("promote", "nope"), f"one of {hybrid}, {realtime}; got nope"),
        (("promote", hybrid, "999"), f"expected a version of {hybrid}, one of 1"),
        (("compare", "nope"), f"one of {hybrid}, {realtime}; got nope"),
        (("compare", hybrid, "1", "999"), "got 999"),
        (("retire", "nope"), f"one of {hybrid}, {realtime}; got nope"),
        (("retire", iris.repo.batch), f"{iris.repo.batch} is filled by the model of {hybrid}"),
    ):
        ended = iris.verb(*words)
        assert (ended.returncode, ended.stdout) == (2, ""), words
        assert said in ended.stderr


def test_a_service_that_is_no_longer_wanted_is_retired_and_brought_back(
    iris: Any, candidates: dict[str, str]
) -> None:
    """The server drops it, with the precomputed service that its model fills.

    Nothing brings it back by itself.
    """
    version, row = served(iris), iris.population()[0]
    assert version is not None
    retired = iris.verb("retire", iris.repo.hybrid)
    assert retired.returncode == 0, retired.stderr
    assert f"potluck promote {iris.repo.hybrid} {version}` brings it back" in retired.stdout
    assert iris.repo.batch in retired.stdout
    wait_for(lambda: served(iris) is None)
    assert (
        iris.post(f"/predict/{iris.repo.hybrid}", row).json()["error_code"] == "SERVICE_NOT_FOUND"
    )
    assert (
        iris.get(f"/lookup/{iris.repo.batch}/{row['flower_id']}").json()["error_code"]
        == "SERVICE_NOT_FOUND"
    )
    assert iris.post(f"/predict/{iris.repo.realtime}", {"sepal_length": 5.0}).status_code == 200
    assert not told(iris, "retire", iris.repo.hybrid)["changed"]
    assert iris.repo.hybrid not in {pulled["service"] for pulled in told(iris, "pull")}
    trained = told(iris, "train", iris.repo.hybrid, "--param", "num_iterations=5")
    assert trained["alias"] == "challenger"
    assert served(iris) is None
    told(iris, "promote", iris.repo.hybrid, version)
    wait_for(lambda: served(iris) == version)
    assert iris.post(f"/predict/{iris.repo.hybrid}", row).status_code == 200
    assert iris.get(f"/lookup/{iris.repo.batch}/{row['flower_id']}").status_code == 200


def test_a_home_that_follows_the_registry_drops_what_was_retired(
    iris: Any, candidates: dict[str, str], tmp_path: Path
) -> None:
    elsewhere = type(iris)(iris.repo, tmp_path / "elsewhere")
    elsewhere.home.mkdir()
    pull = f"""
import os
os.environ.update(MLFLOW_TRACKING_URI={iris.settings.tracking_uri!r})
from cli.main import potluck
potluck.main(["pull", "--json"], standalone_mode=False)
"""
    services = {pulled["service"] for pulled in json.loads(elsewhere.python(pull))}
    assert {iris.repo.hybrid, iris.repo.realtime} <= services
    version = told(iris, "retire", iris.repo.hybrid)["model_version"]
    (gone,) = [pulled for pulled in json.loads(elsewhere.python(pull)) if pulled["retired"]]
    assert gone["service"] == iris.repo.hybrid
    left = [path.stem for path in (elsewhere.settings.releases / "champions").iterdir()]
    assert left == [iris.repo.realtime]
    told(iris, "promote", iris.repo.hybrid, version)
    wait_for(lambda: served(iris) == version)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An MLflow of this test; the addresses that it writes into the environment are put back."""
    home = tmp_path / "home"
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.setenv(name, f"sqlite:///{home}/mlflow.db")
    return Registry(Settings(home=home, repo=tmp_path / "no repo"))


def version_of_somebody(
    registry: Registry, name: str, tags: dict[str, str] | None = None, run: str = ""
) -> None:
    registry.client.create_registered_model(name, tags=tags)
    version = registry.client.create_model_version(
        name, source=f"file:///nowhere/{name}", run_id=run or None
    )
    registry.point(name, CHAMPION, str(version.version))


def test_another_teams_champion_is_no_service_of_ours(registry: Registry) -> None:
    version_of_somebody(registry, "churn", {"team": "crm"})
    version_of_somebody(registry, "price", {training.registry.PROJECT_TAG: "shop"})
    assert registry.services() == ["price"]


def test_a_service_registered_before_there_was_a_tag_is_found_by_its_run(
    registry: Registry,
) -> None:
    client = registry.client
    run = client.create_run(
        client.create_experiment("shop"), tags={training.registry.SERVICE_TAG: "price"}
    )
    version_of_somebody(registry, "price", run=run.info.run_id)
    version_of_somebody(registry, "rent", run=run.info.run_id)
    assert registry.services() == ["price"]


def test_another_teams_champion_without_a_run_makes_no_trouble(registry: Registry) -> None:
    version_of_somebody(registry, "churn", run="0" * 32)
    version_of_somebody(registry, "price", {training.registry.PROJECT_TAG: "shop"})
    assert registry.services() == ["price"]


def test_services_and_versions_beyond_one_page_are_found(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.registry, "PAGE", 2)
    names = [f"service_{number}" for number in range(5)]
    for name in names:
        version_of_somebody(registry, name, {training.registry.PROJECT_TAG: "shop"})
    for _ in range(11):
        registry.client.create_model_version("service_3", source="file:///nowhere")
    assert registry.services() == names
    assert [str(version.version) for version in registry.versions("service_3")] == [
        *map(str, range(1, 13))
    ]


def test_a_retired_service_does_not_await_a_champion(registry: Registry) -> None:
    version_of_somebody(registry, "price", {training.registry.PROJECT_TAG: "shop"})
    assert not registry.awaits_champion("price")
    registry.retire("price")
    assert registry.version_of("price", CHAMPION) is None
    assert registry.is_retired("price")
    assert not registry.awaits_champion("price")
    registry.point("price", CHALLENGER, "1")
    assert registry.is_retired("price")
    registry.point("price", CHAMPION, "1")
    assert not registry.is_retired("price")
