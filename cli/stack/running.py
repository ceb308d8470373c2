"""Which `potluck up` runs for a home, and what one that was killed left behind."""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from cli.stack.supervised import ProcessState, read_states
from potluck.contract.errors import Locked
from potluck.contract.lock import exclusive
from potluck.contract.processes import Marked, end_all, marked
from potluck.contract.settings import Settings

logger = logging.getLogger("potluck.up")

STOP_SECONDS = 10.0
"""How long a process may take to end, beyond what the server takes to drain."""
LOOK_SECONDS = 0.2


def pid_file(settings: Settings) -> Path:
    return settings.home / "up.pid"


def states_file(settings: Settings) -> Path:
    return settings.home / "up.json"


def stop_seconds(settings: Settings) -> float:
    """How long to wait for the end of what was asked to stop."""
    return settings.drain_pause_seconds + settings.drain_seconds + STOP_SECONDS


@contextlib.contextmanager
def hold_pid_file(settings: Settings) -> Iterator[None]:
    """Hold the home's pid file, with this process's number in it.

    Raises:
        Locked: another process holds it.
    """
    busy = "this home is up already; `potluck down` stops it"
    with exclusive(pid_file(settings), busy) as file:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
        file.truncate(0)


def running_supervisor(settings: Settings) -> int | None:
    """The process that holds the home's pid file, if one does."""
    path = pid_file(settings)
    if not path.exists():
        return None
    # The lock counts, not the number: the kernel may have given that to another process since.
    try:
        with exclusive(path, "up"):
            return None
    except Locked:
        return int(path.read_text() or 0) or None


def process_states(settings: Settings) -> dict[str, ProcessState]:
    """The processes of a running `up`; what one wrote that was killed is out of date."""
    return read_states(states_file(settings)) if running_supervisor(settings) else {}


def left_behind(settings: Settings) -> list[Marked]:
    """Processes whose `up` was killed: they go on until the next `up` or `down`."""
    return [] if running_supervisor(settings) else marked(settings.home)


def end_left_behind(settings: Settings) -> list[Marked]:
    """Stop what an earlier `up` left behind, and log it. Call it with the pid file held."""
    ended = end_all(partial(marked, settings.home), stop_seconds(settings))
    for part, pids in pids_by_part(ended).items():
        message = "stopped %s of an earlier `potluck up`, which was killed: process %s"
        logger.warning(message, part, pids)
    return ended


def pids_by_part(processes: list[Marked]) -> dict[str, str]:
    """Process numbers of each part, for people."""
    pids: dict[str, list[str]] = {}
    for each in processes:
        pids.setdefault(each.part, []).append(str(each.pid))
    return {part: ", ".join(numbers) for part, numbers in pids.items()}


def stop_supervisor(settings: Settings) -> bool:
    """Stop `potluck up` and wait for its end.

    Returns:
        Whether it ran.
    """
    pid = running_supervisor(settings)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    # `up` waits once for what it started, and once more for what that left behind.
    deadline = time.monotonic() + 2 * stop_seconds(settings) + 5
    while running_supervisor(settings) is not None and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return True


def stop_left_behind(settings: Settings) -> list[Marked]:
    """Stop what an `up` that was killed left behind.

    Raises:
        Locked: another `up` has begun meanwhile.
    """
    if not settings.home.is_dir() or not left_behind(settings):
        return []
    with hold_pid_file(settings):
        return end_left_behind(settings)
