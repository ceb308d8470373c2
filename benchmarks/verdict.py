"""Figures of `serving` -> ratios, goals, notes."""

from collections.abc import Mapping

from benchmarks.figures import Figures
from benchmarks.machine import Goal
from benchmarks.rivals import (
    ECHO,
    ECHO_2,
    FEAST,
    FEAST_BOOSTER,
    FEAST_PANDAS,
    MANY,
    MLFLOW,
    MLFLOW_REALTIME,
    MLSERVER,
    ONE,
    POTLUCK,
    POTLUCK_2,
)
from benchmarks.traffic import BATCH, HYBRID, LOOKUP, REALTIME

RATES = (
    (HYBRID, ECHO, 0.5),
    (HYBRID, FEAST_PANDAS, 100.0),
    (HYBRID, FEAST_BOOSTER, 10.0),
    (REALTIME, ECHO, 0.55),
    (REALTIME, MLSERVER, 8.0),
    (REALTIME, MLFLOW_REALTIME, 100.0),
    (LOOKUP, ECHO, 0.7),
    (LOOKUP, FEAST, 8.0),
    (BATCH, FEAST_BOOSTER, 20.0),
)
"""Case, other, how many times the other's rate at least."""
MOST_TIMES_ECHO_P50, MOST_P99_MS = 3.0, 1.0
LEAST_OF_TWO_WORKERS = 1.7

NOTES = (
    (
        "A closed loop: each connection waits for its answer before it asks again; p50 and p99 are "
        "those of such a loop."
    ),
    (
        f"{ECHO}: answers each request with its own body (a GET with its path); it gets the very "
        "requests Potluck gets."
    ),
    (
        f"{FEAST_PANDAS}: ANOTHER MODEL, a scikit-learn pipeline (one-hot, LGBMRegressor) with as "
        "many trees and the same"
    ),
    "  parameters, learnt from the same rows.",
    (
        f"{FEAST_BOOSTER}: the very model that Potluck serves. Both block in a coroutine: a thread "
        "was no faster."
    ),
    (
        f"{MLFLOW}: looks nothing up, and runs the pipeline of {FEAST_PANDAS}; it is sent the "
        "finished feature row and"
    ),
    (
        f"  answers the logarithm of the price. {MLFLOW_REALTIME}: the same with the real-time "
        "service's columns only."
    ),
    (
        f"{FEAST}: runs no model; it looks up the prediction that the nightly run wrote. "
        "--max-requests 0."
    ),
    (
        f"{MLSERVER}: the real-time service's own model; it is sent finished, encoded rows and "
        "answers the logarithm."
    ),
    (
        "  In an environment of its own with the same LightGBM, uvicorn, uvloop and httptools; "
        "parallel_workers 0."
    ),
    (
        "Feast in the peers is stock: its own Redis store over the same Redis, without Potluck's "
        "plug-in."
    ),
)
SHARED_CORES = (
    (
        "The machine has too few cores to give two workers, the load and Redis their own: all of "
        "them share what there is."
    ),
    (
        "  `two_workers` also says what two bare echoes gained, and what the gain is per core that "
        "the server really got."
    ),
)


def serving_goals(figures: Figures) -> list[Goal]:
    """Those for which both sides were measured."""
    return [*rate_goals(figures), *latency_goals(figures), *worker_goals(figures)]


def rate_goals(figures: Figures) -> list[Goal]:
    goals = []
    for case, other, wanted in RATES:
        ratio = times(figures, case, other)
        if ratio is not None:
            name = f"{case} x {MANY}: potluck's rate ÷ {other}'s"
            goals.append(Goal(name, round(ratio, 3), ">=", wanted))
    return goals


def times(figures: Figures, case: str, other: str, connections: int = MANY) -> float | None:
    """Potluck's rate as a multiple of another's."""
    ours = figures.get((case, POTLUCK, connections))
    theirs = figures.get((case, other, connections))
    if ours is None or theirs is None:
        return None
    return ours.per_second / theirs.per_second


def latency_goals(figures: Figures) -> list[Goal]:
    ours = figures.get((HYBRID, POTLUCK, ONE))
    echo = figures.get((HYBRID, ECHO, ONE))
    if ours is None:
        return []
    p99 = Goal("hybrid x 1: potluck's p99 in ms", round(ours.p99_ms, 4), "<=", MOST_P99_MS)
    if echo is None:
        return [p99]
    ratio = round(ours.p50_ms / echo.p50_ms, 3)
    p50 = Goal("hybrid x 1: potluck's p50 ÷ echo's", ratio, "<=", MOST_TIMES_ECHO_P50)
    return [p50, p99]


def worker_goals(figures: Figures) -> list[Goal]:
    gained = gain(figures, POTLUCK, POTLUCK_2)
    if gained is None:
        return []
    name = f"hybrid x {MANY}: two workers' rate ÷ one's"
    return [Goal(name, round(gained["rate"], 3), ">=", LEAST_OF_TWO_WORKERS)]


def two_workers(figures: Figures) -> dict[str, Mapping[str, float]]:
    """What the second worker brought, to Potluck and to a bare echo on the same cores."""
    gains = {}
    for one, two in ((POTLUCK, POTLUCK_2), (ECHO, ECHO_2)):
        gained = gain(figures, one, two)
        if gained is not None:
            gains[one] = gained
    return gains


def gain(figures: Figures, one: str, two: str) -> Mapping[str, float] | None:
    """The rate with two workers over that with one; the same per core that was got; the cores that
    two got."""
    single = figures.get((HYBRID, one, MANY))
    double = figures.get((HYBRID, two, MANY))
    if single is None or double is None:
        return None
    rate = double.per_second / single.per_second
    return {
        "rate": rate,
        "rate_per_core": rate * single.server_cpu / double.server_cpu,
        "cores": double.server_cpu,
    }
