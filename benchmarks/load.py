"""The load: a closed loop over N keep-alive connections, in a process of its own, with the standard
library alone.

    python -m benchmarks.load < job.json > run.json

Each connection has one request in flight, sent whole in one call; the next follows when its answer
is read whole. So the latencies are those of a closed loop: what N callers see who wait for each
other's turn, not what a queue that fills by itself would show.
"""

import gc
import json
import os
import select
import sys
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.connection import SILENCE_SECONDS, Connection, read_requests

# A slow server gets up to five windows for its first twenty answers.
FEWEST_ANSWERS = 20
LONGEST = 5


@dataclass(frozen=True)
class LoadJob:
    """What to send, for how long, and whose processor time to watch meanwhile."""

    requests: str
    """A JSON file: [[method, path, body], ...]; a null body is none."""
    port: int
    connections: int
    warm_up: float
    seconds: float
    watched: Mapping[str, Sequence[int]]
    """Name -> processes."""


@dataclass(frozen=True)
class LoadRun:
    """What came of it."""

    answers: int
    per_second: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    cpu: dict[str, float]
    """Name -> processor seconds per second; `load` is this process."""
    failures: int
    """Answers other than 200, and connections that were lost."""
    first_failure: str | None


class Loop:
    """All connections, and what they measured since the last mark."""

    def __init__(self, job: LoadJob) -> None:
        self.requests = read_requests(Path(job.requests), job.port)
        self.next = 0
        self.epoll = select.epoll()
        self.connections = [Connection(job.port) for _ in range(job.connections)]
        self.by_number = {connection.socket.fileno(): connection for connection in self.connections}
        self.nanoseconds = array("q")
        self.failures = 0
        self.first_failure: str | None = None

    def start(self) -> None:
        for number, connection in self.by_number.items():
            self.epoll.register(number, select.EPOLLIN)
            connection.send(self.following())

    def following(self) -> bytes:
        self.next = (self.next + 1) % len(self.requests)
        return self.requests[self.next]

    def drive(self, seconds: float) -> float:
        """Send and receive until the time is up; answers how long it took."""
        begin = time.perf_counter()
        enough = begin + seconds
        latest = begin + LONGEST * seconds
        now = begin
        while now < enough or (len(self.nanoseconds) < FEWEST_ANSWERS and now < latest):
            self.turn()
            now = time.perf_counter()
        return now - begin

    def turn(self) -> None:
        """Take what has come, and send as much again."""
        ready = self.epoll.poll(SILENCE_SECONDS)
        if not ready:
            raise TimeoutError(f"the server was silent for {SILENCE_SECONDS:.0f} s")
        for number, _ in ready:
            connection = self.by_number[number]
            answer = connection.receive()
            if answer is not None:
                self.nanoseconds.append(time.perf_counter_ns() - connection.sent)
                if answer[9:12] != b"200":
                    self.failed(answer)
                connection.send(self.following())

    def failed(self, answer: bytes) -> None:
        """Count an answer that is no 200, and keep what the first one said."""
        self.failures += 1
        if self.first_failure is None:
            head, _, body = answer.decode(errors="replace").partition("\r\n\r\n")
            status = head.splitlines()[0]
            self.first_failure = f"{status} {body[:300]}"

    def mark(self) -> None:
        self.nanoseconds = array("q")


def run_load(job: LoadJob) -> LoadRun:
    """Warm up, then measure."""
    loop = Loop(job)
    loop.start()
    loop.drive(job.warm_up)
    loop.mark()
    before = processor_seconds(job.watched)
    took = loop.drive(job.seconds)
    after = processor_seconds(job.watched)
    sorted_ms = [ns / 1e6 for ns in sorted(loop.nanoseconds)]
    return LoadRun(
        answers=len(sorted_ms),
        per_second=len(sorted_ms) / took,
        p50_ms=quantile(sorted_ms, 0.5),
        p99_ms=quantile(sorted_ms, 0.99),
        most_ms=max(sorted_ms, default=0.0),
        cpu={name: (after[name] - before[name]) / took for name in after},
        failures=loop.failures,
        first_failure=loop.first_failure,
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least this share does not exceed; of nothing, 0."""
    if not ordered:
        return 0.0
    place = int(share * len(ordered))
    last = len(ordered) - 1
    return ordered[min(place, last)]


def processor_seconds(watched: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """By name of the watched processes; `load` is this process."""
    found = {"load": time.process_time()}
    for name, pids in watched.items():
        found[name] = sum(map(seconds_of, pids))
    return found


def seconds_of(pid: int) -> float:
    """User and system time of a process and its threads, to the kernel's tick (10 ms)."""
    path = Path("/proc") / str(pid) / "stat"
    _, _, after_name = path.read_text().rpartition(")")  # the name itself may hold spaces
    fields = after_name.split()
    ticks = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Do the job on standard input; a server that hangs up or goes silent is a failure like a wrong
    status."""
    job = LoadJob(**json.load(sys.stdin))
    gc.disable()
    try:
        done = run_load(job)
    except OSError as error:
        done = lost(error)
    json.dump(asdict(done), sys.stdout)


def lost(error: OSError) -> LoadRun:
    """A run that ended with its connection."""
    return LoadRun(
        answers=0,
        per_second=0.0,
        p50_ms=0.0,
        p99_ms=0.0,
        most_ms=0.0,
        cpu={},
        failures=1,
        first_failure=f"{type(error).__name__}: {error}",
    )


if __name__ == "__main__":
    main()
