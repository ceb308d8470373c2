"""One process of `potluck up`: started, and started again when it ends, after ever longer pauses."""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from cli.stack.process_output import relay
from potluck.contract.files import write_whole
from potluck.contract.processes import mark

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 30.0
"""A process that lived so long starts the count of failures anew."""


@checked_dataclass(frozen=True)
class PartState:
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


PARTS = TypeAdapter(dict[str, PartState])


@dataclass(frozen=True)
class Ended:
    """An end that nobody asked for."""

    exit_code: int
    failures: int
    """Ends in a row, each soon after its start."""
    pause: float
    """Seconds until the next start."""


class Part:
    """A process and its successors."""

    def __init__(self, name: str, command: list[str], home: Path, *, relayed: bool = False) -> None:
        """
        Args:
            relayed: its output is no log of ours, and becomes one.
        """
        self.name, self.command, self.home, self.relayed = name, command, home, relayed
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = self.again_at = 0.0
        self.starts = self.failures = 0
        self.exit_code: int | None = None

    def start(self, now: float) -> None:
        """In a session of its own: a key press at the terminal is for `up` alone."""
        environment = {**os.environ, **mark(self.home, self.name)}
        self.process = subprocess.Popen(
            self.command,
            env=environment,
            start_new_session=True,
            stdout=subprocess.PIPE if self.relayed else None,
            stderr=subprocess.STDOUT if self.relayed else None,
        )
        if self.process.stdout is not None:
            relay(self.name, self.process.stdout)
        self.started_at = now
        self.starts += 1

    def ended(self, now: float) -> Ended | None:
        """Take note of the process's end, if it has come."""
        if self.process is None or self.process.poll() is None:
            return None
        self.exit_code, self.process = self.process.returncode, None
        steady = now - self.started_at >= STEADY_SECONDS
        self.failures = 1 if steady else self.failures + 1
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), LONGEST_PAUSE_SECONDS)
        self.again_at = now + pause
        return Ended(self.exit_code, self.failures, pause)

    def is_due(self, now: float) -> bool:
        """Whether it is to be started, for the first time or again."""
        return self.process is None and now >= self.again_at

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def insist(self, seconds: float) -> None:
        """Wait for the end, and bring it about after so many seconds."""
        if self.process is None:
            return
        try:
            self.process.wait(max(seconds, 0.1))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def told(self) -> PartState:
        restarts = max(self.starts - 1, 0)
        if self.process is None:
            return PartState("waiting", None, restarts, self.exit_code)
        return PartState("running", self.process.pid, restarts, self.exit_code)


def write_states(path: Path, parts: list[Part]) -> None:
    states = {part.name: part.told() for part in parts}
    write_whole(path, PARTS.dump_json(states, indent=1) + b"\n")


def read_states(path: Path) -> dict[str, PartState]:
    """None of them where nothing was written, or where it can't be read."""
    try:
        return PARTS.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}
