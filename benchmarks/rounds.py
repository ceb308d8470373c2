"""Rounds of load over servers that are all up and idle but for the one that is asked."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from os import sched_setaffinity
from pathlib import Path

import redis

from benchmarks.cores import Cores, for_one_worker, for_two_workers, pin
from benchmarks.home import Home
from benchmarks.load import LoadJob, LoadRun
from benchmarks.processes import Server, free_port, session_of, started
from benchmarks.progress import print_progress
from benchmarks.rivals import MANY, ONE, Rival


@dataclass(frozen=True)
class Running:
    """A rival whose server is up."""

    rival: Rival
    server: Server
    requests: Mapping[str, Path]
    """Case -> file of requests."""

    @property
    def pids(self) -> list[int]:
        return session_of(self.server.process.pid)

    @property
    def cores(self) -> Cores:
        return cores_for(self.rival)


@dataclass(frozen=True)
class Pace:
    """How long and how often."""

    warm_up: float
    seconds: float
    repeats: int


ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # on one core a second thread only waits

Key = tuple[str, str, int]
"""Case, rival, connections."""
Runs = Mapping[Key, Sequence[LoadRun]]


@contextmanager
def running(home: Home, rivals: Sequence[Rival]) -> Iterator[list[Running]]:
    """All servers, up one after the other; at the end none of them is left."""
    with ExitStack() as stack:
        yield [stack.enter_context(up(home, rival)) for rival in rivals]


@contextmanager
def up(home: Home, rival: Rival) -> Iterator[Running]:
    """One server on its cores, ready."""
    print_progress(f"starting {rival.label}")
    port = free_port()
    log = home.settings.home / f"{rival.name}.log"
    variables = {**home.environment, **ONE_THREAD, **rival.variables}
    with started(rival.command(port), port, variables, log, cores_for(rival).server) as server:
        server.wait_ready(rival.ready_path)
        yield Running(rival, server, written(rival, home.settings.home))


def written(rival: Rival, folder: Path) -> dict[str, Path]:
    """Its requests as files for the load."""
    files = {}
    for number, (case, requests) in enumerate(rival.traffic.items()):
        files[case] = folder / f"{rival.name}-{number}.json"
        files[case].write_text(json.dumps(requests))
    return files


def cores_for(rival: Rival) -> Cores:
    return for_two_workers() if rival.workers > 1 else for_one_worker()


def rounds(
    running: Sequence[Running], cases: Sequence[str], store: int, pace: Pace
) -> dict[Key, list[LoadRun]]:
    """Each figure once in every round; every other round goes backwards, so that nobody always
    follows the same one.

    Args:
        store: process of the Redis that all read.
    """
    plan = plan_of(running, cases)
    runs: dict[Key, list[LoadRun]] = defaultdict(list)
    for number in range(pace.repeats):
        where = f"round {number + 1} of {pace.repeats}"
        backwards = number % 2 == 1
        turns = plan[::-1] if backwards else plan
        for one, case, connections in turns:
            done = measured(one, case, connections, store, pace)
            print_round(where, one.rival.name, case, connections, done)
            runs[case, one.rival.name, connections].append(done)
    return dict(runs)


def plan_of(running: Sequence[Running], cases: Sequence[str]) -> list[tuple[Running, str, int]]:
    """Server, case and connections of each figure; servers of one case follow each other."""
    plan = []
    for case in cases:
        asked = [one for one in running if case in one.requests]
        for connections in (MANY, ONE):
            able = [one for one in asked if connections in one.rival.connections]
            plan += [(one, case, connections) for one in able]
    return plan


def measured(one: Running, case: str, connections: int, store: int, pace: Pace) -> LoadRun:
    """Load on one server, everybody on their cores."""
    pin([store], one.cores.redis)
    job = LoadJob(
        requests=str(one.requests[case]),
        port=one.server.port,
        connections=connections,
        warm_up=pace.warm_up,
        seconds=pace.seconds,
        watched={"server": one.pids, "redis": [store]},
    )
    return loaded(job, one.cores.load)


def loaded(job: LoadJob, cores: frozenset[int]) -> LoadRun:
    """Run the load in its own process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=partial(sched_setaffinity, 0, cores),
    )
    return LoadRun(**json.loads(done.stdout))


def print_round(where: str, name: str, case: str, connections: int, done: LoadRun) -> None:
    """Say what one measurement came to."""
    figure = f"{done.per_second:,.0f}/s, p50 {done.p50_ms:.3f} ms"
    if done.failures:
        figure += f"  {done.failures} FAILED"
    line = f"{where}: {case} x {connections}, {name}: {figure}"
    print(line, file=sys.stderr, flush=True)


def process_of_redis(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.info("server")["process_id"])
