"""What `benchmarks.startup` measured: tables, goals and the result file."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.contenders import BARE, FEAST, NOTES, POTLUCK, TWO_WORKERS
from benchmarks.machine import (
    Facts,
    Goal,
    goals_table,
    print_notes,
    print_written,
    table,
    write_result,
)
from benchmarks.processes import Memory

MOST_TIMES_BARE, MOST_TIMES_FEAST, MOST_MB = 1.3, 0.15, 120.0


@dataclass(frozen=True)
class ContenderMemory:
    """Memory of a contender after its requests, in MB."""

    worker: Memory
    whole_server: float
    """All its processes, shared pages counted once."""
    processes: int


def report_startup(
    name: str,
    surroundings: Facts,
    data: Facts,
    seconds: Mapping[str, Sequence[float]],
    held: Mapping[str, ContenderMemory],
) -> None:
    """Print the tables, and write the figures to the result file of this name."""
    medians = {contender: statistics.median(runs) for contender, runs in seconds.items()}
    goals = startup_goals(medians, held)
    print(seconds_table(seconds, medians))
    print("\n" + memory_table(held))
    print_notes(NOTES)
    print("\n" + goals_table(goals))
    figures = {
        "seconds_to_ready": start_figures(seconds, medians),
        "memory_mb": {contender: asdict(memory) for contender, memory in held.items()},
    }
    print_written(write_result(name, surroundings, data, figures, goals, NOTES))


def startup_goals(medians: Mapping[str, float], held: Mapping[str, ContenderMemory]) -> list[Goal]:
    """Feast may not have been started, and then is not compared with."""
    times_bare = round(medians[POTLUCK] / medians[BARE], 3)
    goals = [Goal("ready, as a multiple of bare imports", times_bare, "<=", MOST_TIMES_BARE)]
    if FEAST in medians:
        times_feast = round(medians[POTLUCK] / medians[FEAST], 3)
        goals.append(
            Goal("ready, as a multiple of feast serve", times_feast, "<=", MOST_TIMES_FEAST)
        )
    for name in (POTLUCK, TWO_WORKERS):
        peak = round(held[name].worker.peak, 1)
        goals.append(Goal(f"peak MB of a worker, {name}", peak, "<=", MOST_MB))
    return goals


def start_figures(
    seconds: Mapping[str, Sequence[float]], medians: Mapping[str, float]
) -> dict[str, Any]:
    """Contender -> its starts, and their median as a multiple of others'."""
    figures = {}
    for name, runs in seconds.items():
        figures[name] = {
            "median": medians[name],
            "runs": list(runs),
            "times_bare": medians[name] / medians[BARE],
            "times_potluck": medians[name] / medians[POTLUCK],
        }
    return figures


def seconds_table(seconds: Mapping[str, Sequence[float]], medians: Mapping[str, float]) -> str:
    """A line for each contender whose starts were timed."""
    rows = []
    for name, runs in seconds.items():
        median = medians[name]
        row = (
            name,
            f"{median:.2f}",
            f"{min(runs):.2f}",
            f"{max(runs):.2f}",
            f"{median / medians[BARE]:.2f}",
            f"{median / medians[POTLUCK]:.2f}",
            str(len(runs)),
        )
        rows.append(row)
    return table(("start", "median s", "min", "max", "× bare", "× potluck", "n"), rows)


def memory_table(held: Mapping[str, ContenderMemory]) -> str:
    """A line for each contender that was asked."""
    rows = []
    for name, memory in held.items():
        row = (
            name,
            f"{memory.worker.peak:.0f}",
            f"{memory.worker.settled:.0f}",
            f"{memory.whole_server:.0f}",
            str(memory.processes),
        )
        rows.append(row)
    return table(("memory", "worker peak MB", "settled", "whole server PSS", "processes"), rows)
