"""Server processes under measurement: started in a session of their own, looked at through /proc,
always stopped."""

import functools
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.003
READY_SECONDS = 180.0
STOP_SECONDS = 15.0
SMALLEST_WORKER_MB = 40.0  # below it: a shell, or multiprocessing's resource tracker
MB = 1e6


@dataclass(frozen=True)
class Memory:
    """What one process holds, in MB of 10^6 bytes."""

    settled: float
    """Resident now."""
    peak: float
    """Most that was ever resident."""
    share: float
    """Proportional: pages that processes share count once among them."""


@dataclass(frozen=True)
class Server:
    """A server process that is about to be ready, or is."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path
    started: float
    """`time.perf_counter()` just before its process was started."""

    def wait_ready(self, path: str) -> float:
        """Seconds from the start of the process to its first 200.

        Raises:
            RuntimeError: it ended, or is not ready in time; with the end of its log.
        """
        while (seconds := time.perf_counter() - self.started) < READY_SECONDS:
            if self.answers(path):
                return time.perf_counter() - self.started
            if self.process.poll() is not None:
                break
            time.sleep(POLL_SECONDS)
        end = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(
            f"{self.process.args!r} was not ready after {seconds:.1f} s; its log ends:\n{end}"
        )

    def answers(self, path: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def post(self, path: str, bodies: Sequence[bytes]) -> None:
        """Send requests one after the other over one connection.

        Raises:
            RuntimeError: one is not answered with 200.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            for body in bodies:
                connection.request("POST", path, body, {"content-type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"POST {path} was answered {answer.status}: {text[:500]!r}")
        finally:
            connection.close()

    def memory(self) -> dict[int, Memory]:
        """By process, shells and trackers left out."""
        found = {}
        for pid in sorted(session_of(self.process.pid)):
            memory = memory_of(pid)
            if memory.peak >= SMALLEST_WORKER_MB:
                found[pid] = memory
        return found


@contextmanager
def started(
    command: Sequence[str],
    port: int,
    environment: Mapping[str, str],
    log: Path,
    cores: frozenset[int] | None = None,
) -> Iterator[Server]:
    """Start a server, on these cores only if they are given; at the end it and all that it started
    are gone."""
    pinned = functools.partial(os.sched_setaffinity, 0, cores) if cores else None
    with log.open("wb") as out:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=pinned,
        )
        try:
            yield Server(process, port, log, begin)
        finally:
            stop_session(process)


def stop_session(process: "subprocess.Popen[bytes]") -> None:
    """Ask the session to end, and insist after a while."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not signalled(process.pid, number):
            break
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and is_alive(process):
            time.sleep(0.02)
    process.wait()


def is_alive(leader: "subprocess.Popen[bytes]") -> bool:
    """Whether any process of a session is left; asking also takes leave of one that has ended."""
    return leader.poll() is None or bool(session_of(leader.pid))


def signalled(leader: int, number: signal.Signals) -> bool:
    """Signal each process of a session; answers whether there was one."""
    members = session_of(leader)
    for pid in members:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    return bool(members)


def session_of(leader: int) -> list[int]:
    """Living processes of a session."""
    names = [entry.name for entry in Path("/proc").iterdir()]
    pids = [int(name) for name in names if name.isdigit()]
    return [pid for pid in pids if session(pid) == leader]


def session(pid: int) -> int | None:
    """A process's session; None where it has ended."""
    try:
        text = (proc_folder(pid) / "stat").read_text()
        _, _, after_name = text.rpartition(")")  # the name itself may hold spaces and brackets
        state, _, _, number = after_name.split()[:4]
    except (OSError, ValueError):
        return None
    return None if state == "Z" else int(number)


def memory_of(pid: int) -> Memory:
    """What a process holds now."""
    status = kilobytes(proc_folder(pid) / "status")
    shares = kilobytes(proc_folder(pid) / "smaps_rollup")
    return Memory(settled=status["VmRSS"], peak=status["VmHWM"], share=shares["Pss"])


def proc_folder(pid: int) -> Path:
    """Where the kernel tells of a process."""
    return Path("/proc") / str(pid)


def kilobytes(path: Path) -> dict[str, float]:
    """The lines `Name: n kB` of a file in /proc, in MB."""
    found = {}
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == "kB":
            name, number, _ = words
            found[name.rstrip(":")] = int(number) * 1024 / MB
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
