"""Callers of an overloaded server: each waits for its answer, and one who is refused comes again
after a pause.

    python -m benchmarks.callers < job.json > told.json

A process of its own, as cheap as may be: what is measured is the server.
"""

import gc
import json
import select
import sys
import time
from array import array
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.connection import Connection, read_requests
from benchmarks.load import quantile

SILENCE_SECONDS = 30.0


@dataclass(frozen=True)
class CallersJob:
    """How many, for how long."""

    requests: str
    """A JSON file: [[method, path, body], ...]."""
    port: int
    callers: int
    warm_up: float
    seconds: float
    pause: float
    """Seconds before a caller who was refused comes again."""


@dataclass(frozen=True)
class Told:
    """What came of it."""

    good_per_second: float
    refused_per_second: float
    good_p99_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    failures: int
    """Answers other than 200 and 429."""
    load_cpu: float
    """Processor seconds of this process per second."""


class Crowd:
    """All callers."""

    def __init__(self, job: CallersJob) -> None:
        self.pause = job.pause
        self.requests = read_requests(Path(job.requests), job.port)
        self.next = 0
        self.epoll = select.epoll()
        self.callers: dict[int, Connection] = {}
        self.pausing: deque[tuple[float, Connection]] = deque()
        self.good = array("q")
        self.refused = array("q")
        self.failures = 0
        for _ in range(job.callers):
            caller = Connection(job.port)
            self.callers[caller.socket.fileno()] = caller
        for number, caller in self.callers.items():
            self.epoll.register(number, select.EPOLLIN)
            self.ask(caller)

    def mark(self) -> None:
        """Forget what was measured so far."""
        self.good = array("q")
        self.refused = array("q")
        self.failures = 0

    def ask(self, caller: Connection) -> None:
        self.next = (self.next + 1) % len(self.requests)
        caller.send(self.requests[self.next])

    def drive(self, seconds: float) -> float:
        """Ask and listen until the time is up; answers how long it took."""
        begin = now = time.perf_counter()
        while now < begin + seconds:
            self.turn(now)
            now = time.perf_counter()
        return now - begin

    def turn(self, now: float) -> None:
        """Ask for those whose pause is over, then hear whoever is answered."""
        while self.pausing and self.pausing[0][0] <= now:
            _, rested = self.pausing.popleft()
            self.ask(rested)
        timeout = SILENCE_SECONDS
        if self.pausing:
            next_end = self.pausing[0][0]
            timeout = max(0.0, next_end - now)
        for number, _ in self.epoll.poll(timeout):
            caller = self.callers[number]
            answer = caller.receive()
            if answer is not None:
                self.heard(caller, answer)

    def heard(self, caller: Connection, answer: bytes) -> None:
        """Count an answer; who was refused pauses, everybody else asks again at once."""
        took = time.perf_counter_ns() - caller.sent
        status = answer[9:12]
        if status == b"429":
            self.refused.append(took)
            if self.pause:
                until = time.perf_counter() + self.pause
                self.pausing.append((until, caller))
                return
        elif status == b"200":
            self.good.append(took)
        else:
            self.failures += 1
        self.ask(caller)


def run_callers(job: CallersJob) -> Told:
    """Warm up, then measure."""
    crowd = Crowd(job)
    crowd.drive(job.warm_up)
    crowd.mark()
    before = time.process_time()
    took = crowd.drive(job.seconds)
    cpu = (time.process_time() - before) / took
    good, refused = sorted(crowd.good), sorted(crowd.refused)
    return Told(
        good_per_second=len(good) / took,
        refused_per_second=len(refused) / took,
        good_p99_ms=quantile(good, 0.99) / 1e6,
        refused_p50_ms=quantile(refused, 0.5) / 1e6,
        refused_p99_ms=quantile(refused, 0.99) / 1e6,
        failures=crowd.failures,
        load_cpu=cpu,
    )


def main() -> None:
    """Do the job on standard input."""
    job = CallersJob(**json.load(sys.stdin))
    gc.disable()
    told = run_callers(job)
    json.dump(asdict(told), sys.stdout)


if __name__ == "__main__":
    main()
