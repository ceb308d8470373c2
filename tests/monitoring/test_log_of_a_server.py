"""What a real server answers is in the log: every row, to the bit, whoever is killed."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from potluck.contract.processes import PROCESSES
from potluck.inference_log.layout import LogLayout
from potluck.redis.embedded import stop_redis
from potluck.scoring.releases import Releases

READY_SECONDS = 30
STRANGER = 987654321


def own_stack(stack: Any, folder: Path) -> Any:
    """The same repo in a copy of its home, without a server."""
    home = folder / "home"
    shutil.copytree(stack.as_built, home)
    return type(stack)(stack.repo, home)


@pytest.fixture
def own(iris: Any, tmp_path: Path) -> Iterator[Any]:
    """A home of this test alone."""
    found = own_stack(iris, tmp_path)
    yield found
    found.stop()
    stop_redis(found.settings)


def verb(stack: Any, *words: str, code: int = 0) -> Any:
    """What a verb answers."""
    ended = stack.verb(*words, "--json")
    assert ended.returncode == code, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def logged(stack: Any, request_id: str) -> list[dict[str, Any]]:
    return verb(stack, "log", "--request", request_id)  # type: ignore[no-any-return]


def test_the_log_holds_what_was_asked_looked_up_and_answered(stack: Any) -> None:
    record = stack.population()[0]
    answer = stack.post(f"/predict/{stack.repo.hybrid}", record).json()
    (row,) = logged(stack, answer["request_id"])
    assert row["prediction"] == answer["prediction"]
    assert row["probabilities"] == answer.get("probabilities")
    assert row["served_by"] == "hybrid"
    assert row["model_version"] == answer["model_version"]
    assert row["error_code"] is None
    assert 0 < row["latency"] < 60
    described = stack.get(f"/services/{stack.repo.hybrid}").json()
    for field in described["fields"]:
        if field["source"] in ("key", "request"):
            prefix = "key" if field["source"] == "key" else "request"
            assert row[f"{prefix}_{field['name']}"] == record[field["name"]]
        else:
            prefix = "online" if field["source"] == "online" else "computed"
            assert f"{prefix}_{field['name']}" in row
    statuses = {value for name, value in row.items() if name.startswith("status_")}
    assert "PRESENT" in statuses
    for name in row:
        if name.startswith("status_") and row[name] == "PRESENT":
            assert row[name.replace("status_", "event_time_", 1)] is not None


def asked_of(stack: Any, service: str, record: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record that a service takes."""
    described = stack.get(f"/services/{service}").json()
    return {
        field["name"]: record[field["name"]]
        for field in described["fields"]
        if field["name"] in record
    }


def test_every_row_of_a_batch_is_logged_in_its_place(iris: Any) -> None:
    good = iris.population()[0]
    rows = [good, {**good, "flower_id": STRANGER}, {**good, "sepal_length": "long"}, good]
    answer = iris.post(f"/predict/{iris.repo.hybrid}/batch", {"dataframe_records": rows}).json()
    found = logged(iris, answer["request_id"])
    assert [row["row"] for row in found] == [0, 1, 2, 3]
    assert [row["prediction"] for row in found] == answer["predictions"]
    codes = [row["error_code"] for row in found]
    assert codes == [None, "ENTITY_NOT_FOUND", "SCHEMA_VALIDATION", None]
    assert found[1]["key_flower_id"] == STRANGER
    assert found[2]["key_flower_id"] is None


def test_look_ups_are_logged_with_their_run(iris: Any) -> None:
    entity = iris.population()[0]["flower_id"]
    one = iris.get(f"/lookup/{iris.repo.batch}/{entity}").json()
    (row,) = logged(iris, one["request_id"])
    assert (row["prediction"], row["run_id"]) == (one["prediction"], one["run_id"])
    assert row["key_flower_id"] == entity
    many = iris.post(f"/lookup/{iris.repo.batch}", {"ids": [entity, STRANGER]}).json()
    found = logged(iris, many["request_id"])
    assert [row["prediction"] for row in found] == many["predictions"]
    assert [row["error_code"] for row in found] == [None, "ENTITY_NOT_FOUND"]


def test_an_override_and_what_the_store_held_are_both_logged(houses: Any) -> None:
    record = {**houses.population()[0], "OverallQual": 3}
    answer = houses.post(f"/predict/{houses.repo.hybrid}", record).json()
    assert answer["overridden"] == ["OverallQual"]
    (row,) = logged(houses, answer["request_id"])
    assert row["overridden"] == ["OverallQual"]
    assert json.loads(row["overrides"]) == {"OverallQual": 3}
    assert row["online_OverallQual"] is not None


def test_plain_duckdb_reads_an_answer_while_the_server_goes_on(iris: Any) -> None:
    service = iris.repo.realtime
    answer = iris.post(f"/predict/{service}", asked_of(iris, service, iris.population()[0])).json()
    files = f"{LogLayout(iris.home).parquet}/{iris.repo.realtime}/*/*.parquet"
    sql = "select prediction from read_parquet(?, union_by_name = true) where request_id = ?"
    deadline = time.monotonic() + READY_SECONDS
    found: list[Any] = []
    while not found and time.monotonic() < deadline:
        try:
            found = duckdb.execute(sql, [files, answer["request_id"]]).fetchall()
        except duckdb.IOException:  # no file yet
            time.sleep(0.1)
    assert found == [(answer["prediction"],)]


def test_sql_asks_the_log(iris: Any) -> None:
    service = iris.repo.realtime
    iris.post(f"/predict/{service}", asked_of(iris, service, iris.population()[0]))
    sql = "select served_by, count(*) as answers from log where error_code is null group by 1"
    found = {row["served_by"]: row["answers"] for row in verb(iris, "log", "--sql", sql)}
    assert found["realtime"] >= 1
    ended = iris.verb("log", "--sql", "select nonsense from log")
    assert ended.returncode == 2
    assert "nonsense" in ended.stderr
    ended = iris.verb("log", "--sql", "select 1", "--request", "x")
    assert ended.returncode == 2


def test_every_answer_of_every_repo_is_replayed_to_the_bit(stack: Any) -> None:
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 1))
    records = stack.population()[:40]
    for service in (stack.repo.realtime, stack.repo.hybrid):
        asked = [asked_of(stack, service, record) for record in records]
        stack.post(f"/predict/{service}", asked[0])
        stack.post(f"/predict/{service}/batch", {"dataframe_records": asked})
    found = verb(stack, "replay", "--since", since)
    assert found["changed"] == 0
    assert found["equal"] >= 40


def test_a_replay_names_the_bundle_that_is_gone(own: Any) -> None:
    own.serve()
    answer = own.post(f"/predict/{own.repo.hybrid}", own.population()[0]).json()
    request_id = answer["request_id"]
    own.stop()
    assert verb(own, "replay", request_id) == {
        "request_id": request_id,
        "row": None,
        "prediction": answer["prediction"],
        "logged": answer["prediction"],
        "equal": True,
        "why": None,
    }
    releases = Releases(own.settings.releases)
    digest = releases.champion(own.repo.hybrid).digest
    shutil.rmtree(releases.bundles / digest)
    found = verb(own, "replay", request_id)
    assert not found["equal"]
    assert found["prediction"] is None
    assert digest in found["why"]


def test_another_version_is_asked_without_being_served(own: Any) -> None:
    own.serve()
    answer = own.post(f"/predict/{own.repo.hybrid}", own.population()[0]).json()
    own.verbs(["train", own.repo.hybrid, "--param", "num_iterations=3"])
    found = verb(own, "replay", answer["request_id"], "--model", "challenger")
    assert found["logged"] == answer["prediction"]
    assert "did not answer" in found["why"]
    assert found == verb(own, "replay", answer["request_id"], "--version", "2")
    assert own.get(f"/services/{own.repo.hybrid}").json()["model_version"] == "1"
    assert verb(own, "replay", answer["request_id"])["equal"]


def test_an_entity_is_erased_while_the_server_goes_on(own: Any) -> None:
    own.serve()
    first, second, *_ = own.population()
    for record in (first, second, first):
        own.post(f"/predict/{own.repo.hybrid}", record)
    entity = f"flower_id={first['flower_id']}"
    assert len(verb(own, "log", "--entity", entity)) == 2
    assert verb(own, "log", "--erase", entity)["rows"] == 2
    assert verb(own, "log", "--entity", entity) == []
    own.post(f"/predict/{own.repo.hybrid}", second)
    found = verb(own, "log", "--reconcile")
    assert (found["answered"], found["in_files"], found["removed"]) == (4, 2, 2)


SWITCHED_OFF = """
import os
os.environ["POTLUCK_INFERENCE_LOG"] = "off"
from cli.main import main
main()
"""


def test_a_log_that_is_switched_off_leaves_nothing(own: Any) -> None:
    own.serve(code=SWITCHED_OFF)
    assert own.post(f"/predict/{own.repo.hybrid}", own.population()[0]).status_code == 200
    own.stop()
    assert not LogLayout(own.home).folder.exists()
    assert own.verb("log").returncode == 1


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for path in PROCESSES.glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(path.parent.name))
    return found


def is_decoder(pid: int) -> bool:
    try:
        return b"monitoring.decode" in (PROCESSES / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False


class Callers:
    """Clients that ask for as long as they may, and keep the ids of what they were answered."""

    def __init__(self, stack: Any, count: int = 3) -> None:
        self.stack, self.ending = stack, threading.Event()
        self.records = stack.population()[:50]
        self.answered: set[str] = set()
        self.threads = [threading.Thread(target=self.ask) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def ask(self) -> None:
        url = f"{self.stack.url}/predict/{self.stack.repo.hybrid}"
        number = 0
        while not self.ending.is_set():
            number += 1
            try:
                with httpx.Client() as client:
                    for record in self.records:
                        answer = client.post(url, json=record)
                        if answer.status_code == 200:
                            self.answered.add(answer.json()["request_id"])
            except httpx.HTTPError:
                time.sleep(0.05)

    def end(self) -> set[str]:
        self.ending.set()
        for thread in self.threads:
            thread.join()
        return self.answered


def test_whoever_is_killed_every_answer_is_logged_dropped_or_lost(own: Any) -> None:
    own.serve("--workers", "2")
    callers = Callers(own)
    time.sleep(1)
    for _ in range(3):
        pids = children(own.process.pid)
        decoders = [pid for pid in pids if is_decoder(pid)]
        for pid in decoders:
            os.kill(pid, signal.SIGKILL)
        others = [pid for pid in pids if pid not in decoders]
        os.kill(max(others), signal.SIGKILL)  # the youngest: a worker, not Python's own helper
        time.sleep(1.5)
        own.wait_until_ready()
    own.stop()
    answered = callers.end()
    found = verb(own, "log", "--reconcile")
    assert found["answered"] == found["logged"] + found["dropped"] + found["lost"]
    assert found["answered"] >= len(answered) > 100
    assert found["dropped"] == 0
    assert found["waiting"] == 0
    sql = "select request_id from log"
    in_log = [row["request_id"] for row in verb(own, "log", "--sql", sql)]
    assert len(in_log) == len(set(in_log)) == found["logged"]
    assert len(answered - set(in_log)) <= found["lost"]
    assert verb(own, "replay", "--since", "2020-01-01")["changed"] == 0


def test_a_killed_server_is_caught_up_by_who_reads_the_log(own: Any) -> None:
    own.serve()
    callers = Callers(own, count=1)
    time.sleep(1)
    for pid in [*children(own.process.pid), own.process.pid]:
        os.kill(pid, signal.SIGKILL)
    own.process.wait()
    answered = callers.end()
    found = verb(own, "log", "--reconcile")
    assert found["answered"] == found["logged"] + found["lost"] >= len(answered)
    assert found["logged"] > 0
    assert LogLayout(own.home).worker_folders() == []
