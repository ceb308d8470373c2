"""Processes that belong to the `potluck up` of a home, told by a mark in their environment.

Whatever they start inherits the mark: MLflow's workers and its jobs, the shards of a nightly run.
So they are found however `up` ended, and a process number that the kernel has given to somebody
else since is never taken for theirs. The kernel's `/proc` tells; where there is none, nothing is
found.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "POTLUCK_UP"
"""Variable of a marked process: its part of `up`, and the home."""
PROCESSES = Path("/proc")
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Marked:
    """A living process."""

    pid: int
    parent: int
    part: str
    """What it does for `up`: server, mlflow, watcher or nightly."""


def mark(home: Path, part: str) -> dict[str, str]:
    """The variable for the environment of a part's process."""
    return {MARK: f"{part}@{home.resolve()}"}


def unmarked() -> dict[str, str]:
    """This process's environment, for what is to live on without it."""
    return {name: value for name, value in os.environ.items() if name != MARK}


def marked(home: Path, part: str | None = None) -> list[Marked]:
    """The living processes of a home's `up`, or of one part of it."""
    return [each for each in all_marked(home) if part in (None, each.part)]


def all_marked(home: Path) -> Iterator[Marked]:
    start, end = f"{MARK}=".encode(), f"@{home.resolve()}".encode()
    for folder in PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            for variable in (folder / "environ").read_bytes().split(b"\0"):
                if variable.startswith(start) and variable.endswith(end):
                    part = variable[len(start) : -len(end)].decode(errors="replace")
                    yield Marked(int(folder.name), parent_of(folder), part)


def parent_of(folder: Path) -> int:
    """The parent of a process; the second field behind its name, which may hold anything."""
    return int((folder / "stat").read_text().rpartition(")")[2].split()[1])


def end_all(find: Callable[[], list[Marked]], seconds: float) -> list[Marked]:
    """Ask processes to stop, and insist after a while.

    Who started others is asked first, as it knows how to end them; what it left behind, then.

    Returns:
        Those that ran.
    """
    ran = living = find()
    asked: set[int] = set()
    deadline = time.monotonic() + seconds
    while living and time.monotonic() < deadline:
        for each in heads(living):
            if each.pid not in asked:
                asked.add(each.pid)
                send(each.pid, signal.SIGTERM)
        time.sleep(LOOK_SECONDS)
        living = find()
    for each in living:
        send(each.pid, signal.SIGKILL)
    return ran


def heads(processes: Iterable[Marked]) -> list[Marked]:
    """Those whose parent is none of them."""
    found = list(processes)
    numbers = {each.pid for each in found}
    return [each for each in found if each.parent not in numbers]


def send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
