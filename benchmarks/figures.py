"""Runs of `serving` -> figures: medians over the rounds, with the least and the most."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.load import LoadRun
from benchmarks.rounds import Key, Runs

FULL = 0.9
"""Share of a core above which it is taken for full."""


@dataclass(frozen=True)
class Figure:
    """One rival in one case at one number of connections."""

    per_second: float
    """Answers; the median, as everywhere below."""
    least_per_second: float
    most_per_second: float
    p50_ms: float
    p99_ms: float
    server_cpu: float
    """Cores that the server's processes kept busy."""
    load_cpu: float
    redis_cpu: float

    @property
    def load_was_the_limit(self) -> bool:
        """Its core was full and the server's was not."""
        return self.load_cpu > FULL > self.server_cpu

    @property
    def nobody_was_busy(self) -> bool:
        """With many connections: the machine did something else."""
        return max(self.server_cpu, self.load_cpu + self.redis_cpu) < FULL


Figures = Mapping[Key, Figure]


def rival_figures(runs: Runs) -> dict[Key, Figure]:
    """Of those that never failed."""
    return {key: figure(done) for key, done in runs.items() if not failure(done)}


def failures_of(runs: Runs) -> dict[Key, str]:
    """What went wrong, of those that failed."""
    found = {}
    for key, done in runs.items():
        reason = failure(done)
        if reason:
            found[key] = reason
    return found


def failure(done: Sequence[LoadRun]) -> str | None:
    """What the first answer said that was no 200: one is enough for a figure to be none."""
    for run in done:
        if run.failures:
            return run.first_failure or "failed"
    return None


def figure(done: Sequence[LoadRun]) -> Figure:
    """Medians over the rounds, with the least and the most."""
    rates = [run.per_second for run in done]
    p50 = median(run.p50_ms for run in done)
    p99 = median(run.p99_ms for run in done)
    return Figure(
        per_second=median(rates),
        least_per_second=min(rates),
        most_per_second=max(rates),
        p50_ms=p50,
        p99_ms=p99,
        server_cpu=median_cpu(done, "server"),
        load_cpu=median_cpu(done, "load"),
        redis_cpu=median_cpu(done, "redis"),
    )


def median_cpu(done: Sequence[LoadRun], name: str) -> float:
    """Cores that these processes kept busy."""
    return median(run.cpu[name] for run in done)


def figures_by_case(figures: Figures, runs: Runs) -> dict[str, Any]:
    """Case -> rival -> connections -> figure and runs, or why there is none."""
    found: dict[str, Any] = {}
    for key, done in runs.items():
        case, name, connections = key
        entry: dict[str, Any] = {"failed": failure(done)}
        if key in figures:
            entry = asdict(figures[key])
        entry["runs"] = [asdict(run) for run in done]
        by_rival = found.setdefault(case, {})
        by_rival.setdefault(name, {})[str(connections)] = entry
    return found
