"""Which core does what, so that the load and the server it measures are in each other's way as
little as may be."""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.processes import proc_folder

ENOUGH = 4


@dataclass(frozen=True)
class Cores:
    """Who runs where; a set with more than one core leaves the choice to the kernel."""

    server: frozenset[int]
    load: frozenset[int]
    redis: frozenset[int]
    """The online store, which the product and Feast read alike."""

    def told(self) -> dict[str, Any]:
        return {name: sorted(cores) for name, cores in asdict(self).items()}


def for_one_worker() -> Cores:
    """The server has a core to itself; Redis has one too from four cores on, else it shares the
    load's."""
    cores = sorted(os.sched_getaffinity(0))
    server = cores[0]
    load = cores[1 % len(cores)]  # the server's own where there is no other
    redis = cores[2] if len(cores) >= ENOUGH else load
    return Cores(
        server=frozenset({server}),
        load=frozenset({load}),
        redis=frozenset({redis}),
    )


def for_two_workers() -> Cores:
    """Two cores for the server from four cores on; below, everybody shares all of them."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < ENOUGH:
        everybody = frozenset(cores)
        return Cores(everybody, everybody, everybody)
    return Cores(
        server=frozenset({cores[0], cores[3]}),
        load=frozenset({cores[1]}),
        redis=frozenset({cores[2]}),
    )


def pin(pids: Iterable[int], cores: frozenset[int]) -> None:
    """Move processes with all their threads."""
    for pid in pids:
        threads = proc_folder(pid) / "task"
        for thread in threads.iterdir():
            os.sched_setaffinity(int(thread.name), cores)
