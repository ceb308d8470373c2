"""What `potluck up` keeps going.

The server, MLflow's pages or the watcher of a registry that lies elsewhere, the nightly run's
schedule, and the home's own Redis. Each is started again when it ends, and no end takes another
along.
"""

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FrameType

from cli.stack.listen_address import check_address
from cli.stack.supervised import Ended, Part, PartState, read_states, write_states
from potluck.contract.errors import Locked, PotluckError
from potluck.contract.lock import exclusive
from potluck.contract.processes import Marked, end_all, marked
from potluck.contract.settings import Settings
from potluck.redis.embedded import ensure_redis, has_ended

logger = logging.getLogger("potluck.up")

STOP_SECONDS = 10.0
"""How long a process may take to end, beyond what the server takes to drain."""
LOOK_SECONDS = 0.2
REDIS_LOOK_SECONDS = 2.0
PULL_SECONDS = 10
SERVER, PAGES = "server", "mlflow"
SERVER_ATTEMPTS = 5
"""Starts of the server that fail in a row before `up` gives up: one more would mend nothing."""


class Supervisor:
    """Runs the processes of one home."""

    def __init__(self, settings: Settings, host: str, port: int, workers: int) -> None:
        self.settings, self.host = settings, host
        self.stop_seconds = stop_seconds(settings)
        wanted = commands(settings, host, port, workers)
        self.parts = [
            Part(name, command, settings.home, relayed=name == PAGES)
            for name, command in wanted.items()
        ]
        self.ports = [port, port + 1] if PAGES in wanted else [port]
        self.redis_looked_at = 0.0
        self.stopping = False

    def run(self) -> int:
        """Block until stopped; answers the exit code.

        Raises:
            Locked: the home is up already.
            PotluckError: a port is taken.
        """
        with claimed(pid_file(self.settings)):
            end_orphans(self.settings)
            for port in self.ports:
                check_address(self.host, port)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.stop)
            if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under `nohup`
                signal.signal(signal.SIGHUP, self.stop)
            try:
                return self.watch()
            finally:
                self.end()

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def watch(self) -> int:
        while not self.stopping:
            if self.look(time.monotonic()):
                write_states(states_file(self.settings), self.parts)
            if self.server_is_hopeless():
                told = "the server ended %d times in a row; see above why; stopping the rest"
                logger.error(told, SERVER_ATTEMPTS)
                return 1
            self.look_after_redis(time.monotonic())
            time.sleep(LOOK_SECONDS)
        return 0

    def server_is_hopeless(self) -> bool:
        servers = [part for part in self.parts if part.name == SERVER]
        return any(part.failures >= SERVER_ATTEMPTS for part in servers)

    def look(self, now: float) -> bool:
        """Tell who ended and start who is due; answers whether anything changed."""
        ended = {part.name: end for part in self.parts if (end := part.ended(now)) is not None}
        for name, end in ended.items():
            self.tell(name, end)
            end_all(partial(marked, self.settings.home, name), self.stop_seconds)
        due = [part for part in self.parts if part.is_due(now)]
        for part in due:
            part.start(now)
        return bool(ended or due)

    def tell(self, name: str, end: Ended) -> None:
        again = f"starting it again in {end.pause:g} s"
        logger.error("%s ended with exit code %d; %s, the rest goes on", name, end.exit_code, again)

    def look_after_redis(self, now: float) -> None:
        """Start the home's Redis again if it is gone: no other command may come along that does."""
        if now - self.redis_looked_at < REDIS_LOOK_SECONDS:
            return
        self.redis_looked_at = now
        try:
            if has_ended(self.settings):
                logger.error("the home's redis-server ended; starting it again")
                ensure_redis(self.settings)
        except (PotluckError, OSError) as error:
            logger.error("the home's redis-server can't be started: %s", error)

    def end(self) -> None:
        """Ask every process to stop, and insist after a while; what they left behind ends too."""
        for part in self.parts:
            part.ask_to_stop()
        deadline = time.monotonic() + self.stop_seconds
        for part in self.parts:
            part.insist(deadline - time.monotonic())
        end_all(partial(marked, self.settings.home), self.stop_seconds)
        states_file(self.settings).unlink(missing_ok=True)


def stop_seconds(settings: Settings) -> float:
    """How long to wait for the end of what was asked to stop."""
    return settings.drain_pause_seconds + settings.drain_seconds + STOP_SECONDS


def commands(settings: Settings, host: str, port: int, workers: int) -> dict[str, list[str]]:
    verb = [sys.executable, "-m", "cli.main"]
    serve = [*verb, "serve", "--host", host, "--port", str(port), "--workers", str(workers)]
    cron = settings.nightly_cron
    nightly = {"nightly": [*verb, "schedule", "--cron", cron]} if cron else {}
    if settings.tracking_uri != settings.local_tracking_uri:
        return {SERVER: serve, "watcher": [*verb, "pull", "--every", str(PULL_SECONDS)], **nightly}
    pages = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        host,
        "--port",
        str(port + 1),
        "--workers",
        "1",
    ]
    mlflow = [*pages, "--backend-store-uri", settings.tracking_uri]
    return {SERVER: serve, PAGES: mlflow, **nightly}


def pid_file(settings: Settings) -> Path:
    return settings.home / "up.pid"


def states_file(settings: Settings) -> Path:
    return settings.home / "up.json"


@contextlib.contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold the home's pid file, with this process's number in it."""
    with exclusive(path, "this home is up already; `potluck down` stops it") as file:
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
    try:
        with exclusive(path, "up"):
            return None
    except Locked:
        return int(path.read_text() or 0) or None


def part_states(settings: Settings) -> dict[str, PartState]:
    """The processes of a running `up`; what one wrote that was killed is past."""
    return read_states(states_file(settings)) if running_supervisor(settings) else {}


def orphans(settings: Settings) -> list[Marked]:
    """Processes whose `up` was killed: they go on until the next `up` or `down`."""
    return [] if running_supervisor(settings) else marked(settings.home)


def end_orphans(settings: Settings) -> list[Marked]:
    """Stop what an earlier `up` left behind, and say so. Call it with the pid file held."""
    ended = end_all(partial(marked, settings.home), stop_seconds(settings))
    for part, pids in by_part(ended).items():
        told = "stopped %s of an earlier `potluck up`, which was killed: process %s"
        logger.warning(told, part, pids)
    return ended


def by_part(processes: list[Marked]) -> dict[str, str]:
    """Process numbers of each part, for people."""
    pids: dict[str, list[str]] = {}
    for each in processes:
        pids.setdefault(each.part, []).append(str(each.pid))
    return {part: ", ".join(numbers) for part, numbers in pids.items()}


def stop_supervisor(settings: Settings) -> bool:
    """Stop `potluck up` and wait for its end. Answers whether it ran."""
    pid = running_supervisor(settings)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 2 * stop_seconds(settings) + 5
    while running_supervisor(settings) is not None and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return True


def stop_orphans(settings: Settings) -> list[Marked]:
    """Stop what an `up` that was killed left behind.

    Raises:
        Locked: another `up` has begun meanwhile.
    """
    if not settings.home.is_dir() or not orphans(settings):
        return []
    with claimed(pid_file(settings)):
        return end_orphans(settings)
