"""`potluck up` keeps server, MLflow and schedule running, `status` tells, `down` stops them and Redis."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import warm_python

from cli.nights import Record, read_record, write_record

PATIENCE_SECONDS = 90


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(url: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not answers(url):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{url} never answered"
        time.sleep(0.2)


@pytest.fixture
def port() -> int:
    import socket

    while True:
        with socket.socket() as one, socket.socket() as next_one:
            one.bind(("127.0.0.1", 0))
            found = int(one.getsockname()[1])
            try:
                next_one.bind(("127.0.0.1", found + 1))
            except OSError:
                continue
            return found


def test_up_and_down(breast_cancer: Any, port: int) -> None:
    command = [sys.executable, "-m", "cli.main", "up", "--port", str(port)]
    process = subprocess.Popen(
        command,
        env=breast_cancer.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/readyz", process)
        wait_for(f"http://127.0.0.1:{port + 1}/health", process)
        assert (
            json.loads(breast_cancer.verb("status", "--json").stdout)["stack"]
            == f"up (process {process.pid})"
        )
        assert breast_cancer.verb("up", "--port", str(port)).returncode == 75
        down = json.loads(breast_cancer.verb("down", "--json").stdout)
        assert down == {"server": True, "redis": True, "orphans": {}}
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()
    assert not answers(f"http://127.0.0.1:{port}/livez")
    assert json.loads(breast_cancer.verb("status", "--json").stdout)["redis"] == "does not answer"
    again = json.loads(breast_cancer.verb("down", "--json").stdout)
    assert again == {"server": False, "redis": False, "orphans": {}}
    from potluck.redis.embedded import ensure_redis

    ensure_redis(breast_cancer.settings)


@contextlib.contextmanager
def up(stack: Any, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`potluck up`, ended by a signal, so that Redis stays."""
    with (stack.home / "up.log").open("ab") as log:
        command = [sys.executable, "-m", "cli.main", "up", *options]
        process = subprocess.Popen(command, env=stack.environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(30) == 0, (stack.home / "up.log").read_text()


@pytest.fixture
def record(iris: Any) -> Iterator[Path]:
    """The record of a schedule that ran last years ago; afterwards the stack's own run is published again."""
    path = iris.home / "schedule.json"
    write_record(path, Record(since=datetime(2020, 1, 1, tzinfo=UTC)))
    yield path
    path.unlink()
    assert (
        iris.verb("nightly", "--as-of", "2026-06-01", "--force", "the test is over").returncode == 0
    )


def test_up_catches_a_missed_night_up_once_and_status_tells(
    iris: Any, record: Path, port: int
) -> None:
    now = datetime.now(UTC)
    due = datetime(
        now.year if now.month > 6 else now.year - 1, 7, 1, tzinfo=UTC
    )  # later than what is published
    options = ("--port", str(port), "--nightly", "0 0 1 7 *")

    def status() -> Any:
        return json.loads(iris.verb("status", "--json").stdout)["nightly"]

    def done() -> bool:
        found = read_record(record)
        return found is not None and found.done == due

    with up(iris, *options) as process:
        until(done, process)
        as_of = iris.get("/lookup/iris_batch/0").json()["as_of"]
        assert datetime.fromisoformat(as_of) == due
        found = status()
        assert (found["scheduled"], found["cron"], found["last_exit_code"]) == (
            True,
            "0 0 1 7 *",
            0,
        )
        assert datetime.fromisoformat(found["last_due"]) == due
        assert datetime.fromisoformat(found["next_due"]) == due.replace(year=due.year + 1)
    caught_up = record.read_bytes()
    with up(iris, *options) as process:
        until(lambda: status()["scheduled"], process)
        time.sleep(2)
    assert record.read_bytes() == caught_up
    assert not status()["scheduled"]


def until(happened: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.2)


def test_predict_and_lookup_ask_the_running_server(breast_cancer: Any) -> None:
    row = breast_cancer.population()[0]
    key = row["patient_id"]
    url = ("--url", breast_cancer.url, "--json")
    predicted = json.loads(
        breast_cancer.verb("predict", breast_cancer.repo.hybrid, json.dumps(row), *url).stdout
    )
    looked_up = json.loads(breast_cancer.verb("lookup", breast_cancer.repo.batch, key, *url).stdout)
    assert predicted["prediction"] == looked_up["prediction"]
    refused = breast_cancer.verb("lookup", breast_cancer.repo.batch, "P9999", *url)
    assert refused.returncode == 1
    assert "ENTITY_NOT_FOUND" in refused.stderr


def test_nobody_listening_is_an_error_that_says_what_to_do(breast_cancer: Any) -> None:
    ended = breast_cancer.verb("lookup", "any", "1", "--url", "http://127.0.0.1:9")
    assert ended.returncode == 1
    assert "run `potluck serve`" in ended.stderr


@pytest.mark.parametrize(
    ("words", "step"),
    [
        (["materialize"], "potluck apply"),
        (["train", "iris_hybrid"], "potluck apply"),
        (["nightly"], "potluck train"),
        (["export", "iris_batch", "--to", "x.csv"], "none yet"),
    ],
)
def test_a_command_that_misses_an_earlier_step_says_which(
    iris: Any, tmp_path: Any, words: list[str], step: str
) -> None:
    environment = {**iris.environment, "POTLUCK_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "cli.main", *words]
    ended = warm_python.run(command, env=environment, capture_output=True, text=True)
    warm_python.run(
        [sys.executable, "-m", "cli.main", "down"], env=environment, capture_output=True
    )
    assert ended.returncode != 0
    assert step in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("variable", "value", "words", "said"),
    [
        ("REDIS_URL", "redis://127.0.0.1:9", ["materialize"], "127.0.0.1:9"),
        ("REDIS_URL", "redis://127.0.0.1:9", ["nightly"], "online store does not answer"),
        (
            "MLFLOW_TRACKING_URI",
            "http://127.0.0.1:9",
            ["train", "iris_hybrid"],
            "MLflow at http://127.0.0.1:9",
        ),
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:9", ["pull"], "MLflow at http://127.0.0.1:9"),
        (
            "FEAST_REGISTRY_URL",
            "postgresql://127.0.0.1:9/feast",
            ["apply"],
            "registry does not answer",
        ),
        (
            "FEAST_REGISTRY_URL",
            "postgresql://127.0.0.1:9/feast",
            ["train", "iris_hybrid"],
            "registry does not answer",
        ),
    ],
)
def test_a_part_that_is_away_is_an_error_without_a_trace(
    iris: Any, variable: str, value: str, words: list[str], said: str
) -> None:
    command = [sys.executable, "-m", "cli.main", *words]
    environment = {**iris.environment, variable: value}
    ended = warm_python.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_printed_variables_let_plain_feast_see_the_home(iris: Any) -> None:
    printed = json.loads(iris.verb("env", "--json").stdout)
    assert printed["POTLUCK_HOME"] == str(iris.home)
    feast = [sys.executable, "-W", "ignore", "-m", "feast.cli.cli", "-c", str(iris.repo.path)]
    environment = {**iris.environment, **printed}
    listed = subprocess.run(
        [*feast, "feature-services", "list"], env=environment, capture_output=True, text=True
    )
    assert "iris_hybrid" in listed.stdout, listed.stderr


def test_plain_feast_applies_and_materializes(iris: Any) -> None:
    feast = [str(Path(sys.executable).with_name("feast")), "-c", str(iris.repo.path)]
    for words in (["apply"], ["materialize", "2019-01-01T00:00:00", "2026-06-01T00:00:00"]):
        ended = subprocess.run(
            [*feast, *words], env=iris.environment, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
    row = iris.population()[0]
    assert iris.post(f"/predict/{iris.repo.hybrid}", row).status_code == 200
