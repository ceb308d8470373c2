"""Processes of a home's `up` are told by a mark that whatever they start inherits."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from potluck.contract.processes import MARK, end_all, heads, mark, marked, unmarked

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")

Start = Callable[..., "subprocess.Popen[bytes]"]
WAIT = "print(flush=True); import time; time.sleep(60)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + WAIT
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that waits; its first line says that it is ready."""
    started: list[subprocess.Popen[bytes]] = []

    def run(environment: dict[str, str], *code: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", *(code or (WAIT,))]
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.PIPE
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def ready(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def test_processes_of_a_home_are_found_by_home_and_part(start: Start, tmp_path: Path) -> None:
    server = start(mark(tmp_path, "server"))
    watcher = start(mark(tmp_path, "watcher"))
    elsewhere = start(mark(tmp_path / "other", "server"))
    for process in (server, watcher, elsewhere):
        ready(process)
    parts = {each.pid: each.part for each in marked(tmp_path)}
    assert parts == {server.pid: "server", watcher.pid: "watcher"}
    (found,) = marked(tmp_path, "server")
    assert (found.pid, found.parent) == (server.pid, os.getpid())
    assert marked(tmp_path, "nightly") == []


def test_what_a_marked_process_starts_is_found_and_its_parent_is_asked_first(
    start: Start, tmp_path: Path
) -> None:
    parent = start(mark(tmp_path, "nightly"), PARENT, WAIT)
    child = int(ready(parent))
    found = {each.pid: each.parent for each in marked(tmp_path)}
    assert found == {parent.pid: os.getpid(), child: parent.pid}
    assert [each.pid for each in heads(marked(tmp_path))] == [parent.pid]


def test_all_are_ended_and_those_that_ran_are_named(start: Start, tmp_path: Path) -> None:
    obedient, deaf = start(mark(tmp_path, "server")), start(mark(tmp_path, "mlflow"), DEAF)
    for process in (obedient, deaf):
        ready(process)
        reap_in_background(process)
    ran = end_all(lambda: marked(tmp_path), seconds=0.5)
    assert {each.pid for each in ran} == {obedient.pid, deaf.pid}
    assert (obedient.wait(10), deaf.wait(10)) == (-15, -9)
    assert end_all(lambda: marked(tmp_path), seconds=0.5) == []


def reap_in_background(process: "subprocess.Popen[bytes]") -> None:
    """A process that has ended is still listed until its parent has asked how."""
    threading.Thread(target=process.wait, daemon=True).start()


def test_the_mark_is_taken_off_for_what_is_to_live_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, "server@/home")
    monkeypatch.setenv("STAYS", "yes")
    kept = unmarked()
    assert MARK not in kept
    assert kept["STAYS"] == "yes"
