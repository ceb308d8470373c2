"""One process of `potluck up`: started, and restarted when it ends, after ever longer pauses."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from cli.stack.process_output import log_in_background
from potluck.contract.files import write_whole
from potluck.contract.processes import mark

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 30.0
"""A process that lived so long starts the count of failures anew."""


@checked_dataclass(frozen=True)
class ProcessState:
    """A process as `potluck status` tells it."""

    state: Literal["running", "waiting"]
    pid: int | None
    restarts: int
    last_exit_code: int | None

    def text(self) -> str:
        """For people."""
        runs = self.state == "running"
        head = f"running (process {self.pid})" if runs else "waits for its next start"
        if self.last_exit_code is None:
            return head
        return f"{head}; started again {self.restarts} times, last exit code {self.last_exit_code}"


STATES = TypeAdapter(dict[str, ProcessState])


@dataclass(frozen=True)
class ProcessEnd:
    """An end that nobody asked for."""

    exit_code: int
    failures: int
    """Ends in a row, each soon after its start."""
    pause: float
    """Seconds until the next start."""


class SupervisedProcess:
    """A process and its successors."""

    def __init__(
        self, name: str, command: list[str], home: Path, *, log_output: bool = False
    ) -> None:
        """
        Args:
            name: what it does for `up`; it stands in the process's mark and in the log.
            log_output: make log lines of its output, which is not a log of ours.
        """
        self.name, self.command, self.home, self.log_output = name, command, home, log_output
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = self.again_at = 0.0
        self.starts = self.failures = 0
        self.exit_code: int | None = None

    def start(self, now: float) -> None:
        logged = (subprocess.PIPE, subprocess.STDOUT)
        stdout, stderr = logged if self.log_output else (None, None)
        self.process = subprocess.Popen(
            self.command,
            env={**os.environ, **mark(self.home, self.name)},
            # A session of its own: Ctrl-C at the terminal is for `up` alone, which stops the rest.
            start_new_session=True,
            stdout=stdout,
            stderr=stderr,
        )
        if self.process.stdout is not None:
            log_in_background(self.name, self.process.stdout)
        self.started_at = now
        self.starts += 1

    def poll_end(self, now: float) -> ProcessEnd | None:
        """Take note of the process's end, if it has come."""
        if self.process is None or self.process.poll() is None:
            return None
        self.exit_code, self.process = self.process.returncode, None
        steady = now - self.started_at >= STEADY_SECONDS
        self.failures = 1 if steady else self.failures + 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), LONGEST_PAUSE_SECONDS)
        self.again_at = now + pause
        return ProcessEnd(self.exit_code, self.failures, pause)

    def is_due(self, now: float) -> bool:
        """Whether it is to be started, for the first time or again."""
        return self.process is None and now >= self.again_at

    def terminate(self) -> None:
        """Ask it to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait_or_kill(self, seconds: float) -> None:
        """Wait for its end, and kill it with all of its session after so many seconds."""
        if self.process is None:
            return
        try:
            self.process.wait(max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def state(self) -> ProcessState:
        restarts = max(self.starts - 1, 0)
        if self.process is None:
            return ProcessState("waiting", None, restarts, self.exit_code)
        return ProcessState("running", self.process.pid, restarts, self.exit_code)


def write_states(path: Path, processes: Iterable[SupervisedProcess]) -> None:
    states = {process.name: process.state() for process in processes}
    write_whole(path, STATES.dump_json(states, indent=1) + b"\n")


def read_states(path: Path) -> dict[str, ProcessState]:
    """What was written; empty where nothing was, or where it can't be read."""
    try:
        return STATES.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}
