"""The processes behind `potluck up`.

The server, MLflow's pages or the watcher of a registry that lies elsewhere, and the nightly run's schedule.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from cli.address import check_address
from potluck.contract.errors import Locked
from potluck.contract.lock import exclusive
from potluck.contract.settings import Settings

STOP_SLACK_SECONDS = 10.0
LOOK_SECONDS = 0.2
PULL_SECONDS = 10


class Supervisor:
    """Runs the processes; when one ends, ends them all and says which."""

    def __init__(self, settings: Settings, host: str, port: int, workers: int) -> None:
        self.settings = settings
        self.host = host
        self.commands = commands(settings, host, port, workers)
        self.ports = [port, port + 1] if "mlflow" in self.commands else [port]
        self.stopping = False

    def run(self) -> int:
        """Block until stopped; answers the exit code.

        Raises:
            Locked: the home is up already.
            PotluckError: a port is taken.
        """
        with claimed(pid_file(self.settings)):
            for port in self.ports:
                check_address(self.host, port)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self.stop)
            children = {name: subprocess.Popen(command) for name, command in self.commands.items()}
            try:
                return self.watch(children)
            finally:
                end(children, stop_seconds(self.settings))

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def watch(self, children: dict[str, subprocess.Popen[bytes]]) -> int:
        while not self.stopping:
            ended = {name: child.returncode for name, child in children.items() if child.poll() is not None}
            for name, code in ended.items():
                click.echo(f"potluck: {name} ended with exit code {code}; stopping the rest", err=True)
                return 1
            time.sleep(LOOK_SECONDS)
        return 0


def commands(settings: Settings, host: str, port: int, workers: int) -> dict[str, list[str]]:
    verb = [sys.executable, "-m", "cli.main"]
    serve = [*verb, "serve", "--host", host, "--port", str(port), "--workers", str(workers)]
    cron = settings.nightly_cron
    nightly = {"nightly": [*verb, "schedule", "--cron", cron]} if cron else {}
    if settings.tracking_uri != settings.local_tracking_uri:
        return {"server": serve, "watcher": [*verb, "pull", "--every", str(PULL_SECONDS)], **nightly}
    pages = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port + 1), "--workers", "1"]
    return {"server": serve, "mlflow": [*pages, "--backend-store-uri", settings.tracking_uri], **nightly}


def stop_seconds(settings: Settings) -> float:
    """How long the processes may take to stop: the server answers what has come."""
    return settings.drain_pause_seconds + settings.drain_seconds + STOP_SLACK_SECONDS


def end(children: dict[str, subprocess.Popen[bytes]], seconds: float) -> None:
    """Ask every process to stop, and insist after so many seconds."""
    for child in children.values():
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + seconds
    for child in children.values():
        try:
            child.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()


def pid_file(settings: Settings) -> Path:
    return settings.home / "up.pid"


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


def stop_supervisor(settings: Settings) -> bool:
    """Stop `potluck up` and wait for its end. Answers whether it ran."""
    pid = running_supervisor(settings)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + stop_seconds(settings) + 5
    while running_supervisor(settings) is not None and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return True
