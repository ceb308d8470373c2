"""`potluck up` outlives its processes; what a `kill -9` of it leaves is found and named."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import cli.stack.supervised
import cli.stack.supervisor
from cli.main import potluck
from cli.stack.running import left_behind
from cli.stack.supervised import SupervisedProcess
from cli.stack.supervisor import Supervisor
from potluck.contract.processes import MARK, end_all, mark, marked
from potluck.contract.settings import Settings

PATIENCE_SECONDS = 120


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def until(happened: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := happened()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.2)
    return found


def lives(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


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


@pytest.fixture
def up(iris: Any, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """`potluck up` of a home, with its pages; afterwards nothing of it is left."""
    (iris.home / "up.log").unlink(missing_ok=True)
    process = start(iris, port)
    yield process
    iris.verb("down")
    process.wait(60)
    assert not marked(iris.home)
    from potluck.redis.embedded import ensure_redis

    ensure_redis(iris.settings)


def start(stack: Any, port: int) -> "subprocess.Popen[bytes]":
    options = ["--port", str(port), "--nightly", "0 0 1 1 *"]
    command = [sys.executable, "-m", "cli.main", "up", *options]
    environment = {**stack.environment, "POTLUCK_LOG_FORMAT": "json"}
    with (stack.home / "up.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def status(stack: Any) -> Any:
    return json.loads(stack.verb("status", "--json").stdout)


def test_whatever_ends_is_started_again_and_the_rest_goes_on(
    iris: Any, up: "subprocess.Popen[bytes]", port: int
) -> None:
    server, pages = f"http://127.0.0.1:{port}/readyz", f"http://127.0.0.1:{port + 1}/health"
    until(lambda: answers(server) and answers(pages))
    before = status(iris)["processes"]
    assert set(before) == {"server", "mlflow", "nightly"}
    assert {part["restarts"] for part in before.values()} == {0}
    workers = [each.pid for each in marked(iris.home, "mlflow")]
    assert len(workers) > 1, "MLflow has a process of its own below the one that was started"

    os.kill(before["mlflow"]["pid"], signal.SIGKILL)
    until(lambda: status(iris)["processes"]["mlflow"]["restarts"] == 1)
    assert answers(server)
    assert not any(map(lives, workers))
    until(lambda: answers(pages))
    after = status(iris)["processes"]
    assert after["mlflow"]["last_exit_code"] == -signal.SIGKILL
    assert after["server"] == before["server"]
    assert "started again 1 times, last exit code -9" in iris.verb("status").stdout

    os.kill(after["server"]["pid"], signal.SIGKILL)
    until(lambda: status(iris)["processes"]["server"]["restarts"] == 1)
    until(lambda: answers(server))

    from potluck.redis.embedded import answers as redis_answers
    from potluck.redis.embedded import client

    os.kill(client(iris.settings).info()["process_id"], signal.SIGKILL)
    until(lambda: redis_answers(iris.settings))
    told = (iris.home / "up.log").read_text()
    assert told.count("mlflow ended with exit code -9") == 1
    assert told.count("server ended with exit code -9") == 1
    assert told.count("the home's redis-server ended") == 1
    loggers = {json.loads(line)["logger"] for line in told.splitlines()}
    assert {"potluck.up", "potluck.schedule", "potluck.serving", "mlflow"} <= loggers
    assert up.poll() is None


def test_a_kill_of_up_leaves_nothing_that_down_does_not_find_and_name(
    iris: Any, up: "subprocess.Popen[bytes]", port: int
) -> None:
    server, pages = f"http://127.0.0.1:{port}/readyz", f"http://127.0.0.1:{port + 1}/health"
    until(lambda: answers(server) and answers(pages))
    up.kill()
    up.wait(10)
    left = marked(iris.home)
    assert {each.part for each in left} == {"server", "mlflow", "nightly"}
    assert answers(server), "the server goes on without it"
    found = status(iris)
    assert (found["stack"], found["processes"]) == ("down", {})
    assert set(found["orphans"]) == {"server", "mlflow", "nightly"}
    assert "server of an `up` that was killed goes on" in iris.verb("status").stdout
    told = json.loads(iris.verb("down", "--json").stdout)
    assert told["orphans"] == found["orphans"]
    assert not any(lives(each.pid) for each in left)
    assert not answers(server)
    assert status(iris)["orphans"] == {}


def test_the_next_up_stops_what_a_killed_one_left_and_says_so(
    iris: Any, up: "subprocess.Popen[bytes]", port: int
) -> None:
    server = f"http://127.0.0.1:{port}/readyz"
    until(lambda: answers(server))
    up.kill()
    up.wait(10)
    left = marked(iris.home)
    second = start(iris, port)  # on the same port, which the first one's server holds
    until(lambda: not any(lives(each.pid) for each in left))
    until(lambda: answers(server))
    assert "stopped server of an earlier `potluck up`" in (iris.home / "up.log").read_text()
    second.terminate()
    assert second.wait(90) == 0
    assert not marked(iris.home)


@pytest.fixture
def handlers() -> Iterator[None]:
    """A supervisor in this process sets handlers of its own."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def supervisor(home: Path, monkeypatch: pytest.MonkeyPatch, **commands: list[str]) -> Supervisor:
    monkeypatch.setattr(cli.stack.supervisor, "commands", lambda *_: commands)
    monkeypatch.setattr(cli.stack.supervised, "FIRST_PAUSE_SECONDS", 0.01)
    settings = Settings(home=home, redis_url="redis://127.0.0.1:9")
    return Supervisor(settings, "127.0.0.1", 0, 1)


def test_a_server_that_ends_at_once_each_time_ends_up_with_1(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    handlers: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = supervisor(tmp_path, monkeypatch, server=["sh", "-c", "exit 3"], other=["sleep", "60"])
    assert asked.run() == 1
    told = [record.getMessage() for record in caplog.records]
    ends = [line for line in told if "server ended with exit code 3" in line]
    assert len(ends) == cli.stack.supervisor.SERVER_ATTEMPTS
    assert "ended 5 times in a row" in told[-1]
    assert not marked(tmp_path)


def test_another_part_is_tried_for_ever_with_longer_and_longer_pauses(tmp_path: Path) -> None:
    process = SupervisedProcess("mlflow", ["false"], tmp_path)
    now, pauses = 0.0, []
    for _ in range(9):
        assert process.is_due(now)
        process.start(now)
        ended = until(lambda now=now: process.poll_end(now))
        pauses.append(ended.pause)
        assert not process.is_due(now + ended.pause / 2)
        now += ended.pause
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    process.start(now)
    assert process.process is not None
    process.process.wait(10)
    ended = process.poll_end(now + cli.stack.supervised.STEADY_SECONDS)
    assert ended is not None
    assert ended.pause == 1
    assert process.state().restarts == 9


def test_a_process_that_carries_no_mark_of_this_home_is_never_stopped(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for home in (ours, theirs):
        home.mkdir()
    marks: list[dict[str, str]] = [mark(ours, "server"), mark(theirs, "server"), {}]
    clean = {name: value for name, value in os.environ.items() if name != MARK}
    processes = [subprocess.Popen(["sleep", "60"], env={**clean, **each}) for each in marks]
    try:
        until(lambda: marked(ours) and marked(theirs))
        settings = Settings(home=ours)
        (ours / "up.pid").write_text(
            str(processes[2].pid)
        )  # a number that was given to somebody else since
        assert [each.pid for each in left_behind(settings)] == [processes[0].pid]
        ended = end_all(lambda: marked(ours), 10)
        assert [each.pid for each in ended] == [processes[0].pid]
        assert processes[0].wait(10) == -signal.SIGTERM
        assert [process.poll() for process in processes[1:]] == [None, None]
    finally:
        for process in processes:
            process.kill()
            process.wait(10)


def test_down_names_to_people_what_it_stopped_of_a_killed_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path))
    orphan = subprocess.Popen(["sleep", "60"], env={**os.environ, **mark(tmp_path, "mlflow")})
    try:
        until(lambda: marked(tmp_path))
        said = CliRunner().invoke(potluck, ["down"], catch_exceptions=False).output
        assert f"stopped mlflow of an `up` that was killed (process {orphan.pid})" in said
        assert orphan.wait(10) == -signal.SIGTERM
    finally:
        orphan.kill()
        orphan.wait(10)


def test_what_does_not_listen_is_killed_in_the_end(tmp_path: Path) -> None:
    deaf = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.2; done"]
    process = subprocess.Popen(
        deaf, env={**os.environ, **mark(tmp_path, "nightly")}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    end_all(lambda: marked(tmp_path), 1)
    assert process.wait(10) == -signal.SIGKILL
