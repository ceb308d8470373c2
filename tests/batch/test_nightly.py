"""The nightly run converges, follows the champion, and leaves the last run whole whatever happens to it."""

import fcntl
import json
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest

from potluck.scoring.releases import Releases

AS_OF = "2026-06-01"

KILLED_BEFORE_PUBLISHING = """
import os, signal, sys
import batch.nightly
batch.nightly.publish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from cli.main import potluck
potluck.main(["nightly", "--as-of", sys.argv[1]], standalone_mode=False)
"""

FAILING_FUNCTIONS = """
import sys
import batch.score
from potluck.contract.errors import DataError
from potluck.scoring.bundle import Model
plain, share = Model.score, float(sys.argv[2])
def score(model, inputs, times):
    if any(value is not None and value > 7.85 for value in inputs["sepal_length"]) or share == 1:
        raise DataError("on-demand function sepals failed: ZeroDivisionError")
    return plain(model, inputs, times)
Model.score = score
from cli.main import main
sys.argv = ["potluck", "nightly", "--as-of", sys.argv[1], "--json"]
main()
"""


@pytest.fixture
def last_run(iris: Any) -> Iterator[dict[str, Any]]:
    """What is published before the test; the same champion and run are put back afterwards."""
    releases = Releases(iris.settings.releases)
    champion = releases.champion(iris.repo.hybrid)
    yield published(iris)
    releases.promote(champion)
    assert iris.verb("nightly", "--as-of", AS_OF).returncode == 0


def published(stack: Any) -> dict[str, Any]:
    ids = [row["flower_id"] for row in stack.population()]
    body = stack.post(f"/lookup/{stack.repo.batch}", {"ids": ids}).json()
    return {name: body[name] for name in ("predictions", "probabilities", "run_id", "as_of", "model_version")}


def nightly(stack: Any, as_of: str = AS_OF) -> dict[str, Any]:
    ended = stack.verb("nightly", "--as-of", as_of, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)[0]


def history(stack: Any) -> list[dict[str, Any]]:
    return pq.read_table(stack.settings.data_folder("iris") / "predictions.parquet").to_pylist()


def test_the_same_run_again_converges(iris: Any, last_run: dict[str, Any]) -> None:
    kept = history(iris)
    assert nightly(iris)["run_id"] == last_run["run_id"]
    assert published(iris) == last_run
    assert history(iris) == kept


def test_the_same_date_after_a_retraining_changes_the_predictions(iris: Any, last_run: dict[str, Any]) -> None:
    trained = json.loads(iris.verb("train", iris.repo.hybrid, "--seed", "11", "--promote", "--json").stdout)
    summary = nightly(iris)
    now = published(iris)
    assert now["model_version"] == summary["model_version"] == trained["model_version"] != last_run["model_version"]
    assert now["probabilities"] != last_run["probabilities"]
    assert {row["run_id"] for row in history(iris) if row["event_timestamp"].isoformat()[:10] == AS_OF} == {
        now["run_id"]
    }


def test_another_date_is_kept_beside_the_first(iris: Any, last_run: dict[str, Any]) -> None:
    other = nightly(iris, "2026-06-02")
    assert published(iris)["run_id"] == other["run_id"]
    assert {last_run["run_id"], other["run_id"]} <= {row["run_id"] for row in history(iris)}


def test_a_run_killed_before_the_switch_leaves_the_last_one_whole(iris: Any, last_run: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        iris.python(KILLED_BEFORE_PUBLISHING, "2026-06-03")
    assert published(iris) == last_run
    assert published(iris)["run_id"] != nightly(iris, "2026-06-03")["run_id"]


def test_only_records_up_to_the_date_are_scored(iris: Any, last_run: dict[str, Any]) -> None:
    """One flower a day was seen from 2020-01-01 on."""
    assert nightly(iris, "2020-01-10")["rows"] == 10
    body = iris.post(f"/lookup/{iris.repo.batch}", {"ids": [row["flower_id"] for row in iris.population()]}).json()
    assert sum(value is not None for value in body["predictions"]) == 10, "the others left with the published run"


def test_a_date_before_all_records_is_an_error_that_says_so(iris: Any, last_run: dict[str, Any]) -> None:
    ended = iris.verb("nightly", "--as-of", "1999-01-01")
    assert ended.returncode == 1
    assert "population holds no row up to 1999-01-01" in ended.stderr
    assert published(iris) == last_run


def test_two_runs_never_work_at_once(iris: Any) -> None:
    with (iris.home / "nightly.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = iris.verb("nightly", "--as-of", AS_OF)
    assert ended.returncode == 75
    assert "another nightly run" in ended.stderr


def test_a_row_that_can_not_be_scored_is_left_out_and_named(iris: Any, last_run: dict[str, Any]) -> None:
    (worst,) = [row for row in iris.population() if row["sepal_length"] > 7.85]
    (summary,) = json.loads(stdout_of(iris, "0", expected=0))
    assert (summary["rows"], summary["failed_rows"]) == (149, 1)
    assert summary["failures"][0].startswith(f"{worst['flower_id']}: on-demand function sepals failed")
    assert iris.get(f"/lookup/{iris.repo.batch}/{worst['flower_id']}").json()["error_code"] == "ENTITY_NOT_FOUND"
    assert published(iris)["run_id"] == summary["run_id"] != last_run["run_id"]


def test_too_many_failed_rows_refuse_the_run(iris: Any, last_run: dict[str, Any]) -> None:
    stdout_of(iris, "1", expected=65)
    assert published(iris) == last_run


def stdout_of(stack: Any, share: str, expected: int) -> str:
    import subprocess
    import sys

    command = [sys.executable, "-W", "ignore", "-c", FAILING_FUNCTIONS, "2026-06-04", share]
    ended = subprocess.run(command, env=stack.environment, capture_output=True, text=True, cwd=stack.home)
    assert ended.returncode == expected, ended.stderr
    return ended.stdout
