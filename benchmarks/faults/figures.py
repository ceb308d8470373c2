"""What a fault came to, from the requests that were under way."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from benchmarks.faults.load import Asked

EXPECTED = frozenset({200, 404, 429, 503})
"""What a good request may be answered: 404 while the store is empty."""


@dataclass(frozen=True)
class Figures:
    """Requests under way between a fault's beginning and end, and how soon all was well again."""

    requests: int
    statuses: Mapping[str, int]
    errors: Mapping[str, int]
    """Requests without an answer, by reason."""
    p50_ms: float
    p99_ms: float
    slowest_ms: float
    """Of answers."""
    wrong: int
    """200s with another prediction than before, of the whole scenario."""
    unexpected: int
    """Answers of the whole scenario that are no 200, 404, 429 or 503."""
    first_good_s: float
    """From the fault's end to the first right answer of a kind that failed; 0 where none failed."""
    steady_s: float
    """From the fault's end to the last failure."""


def fault_figures(asked: Sequence[Asked], begun: float, ended: float) -> Figures:
    during = [each for each in asked if begun <= each.begun < ended or begun < each.ended <= ended]
    answers = sorted(each.ms for each in during if each.status)
    p50, p99 = percentiles(answers)
    return Figures(
        requests=len(during),
        statuses=dict(sorted(Counter(str(each.status) for each in during if each.status).items())),
        errors=dict(sorted(Counter(each.error for each in during if each.error).items())),
        p50_ms=round(p50, 2),
        p99_ms=round(p99, 2),
        slowest_ms=round(answers[-1], 2) if answers else 0.0,
        wrong=sum(each.wrong for each in asked),
        unexpected=sum(each.status not in EXPECTED for each in asked if each.status),
        first_good_s=round(first_good(asked, during, ended), 3),
        steady_s=round(seconds_until_steady(asked, ended), 3),
    )


def percentiles(answers: Sequence[float]) -> tuple[float, float]:
    """p50 and p99; of fewer than two answers, the one."""
    if len(answers) < 2:
        return (answers[0], answers[0]) if answers else (0.0, 0.0)
    cuts = quantiles(answers, n=100, method="inclusive")
    return cuts[49], cuts[98]


def first_good(asked: Sequence[Asked], during: Sequence[Asked], ended: float) -> float:
    failed = {each.kind for each in during if not each.good}
    good = [each for each in asked if each.kind in failed and each.good]
    return min((each.ended - ended for each in good if each.ended > ended), default=0.0)


def seconds_until_steady(asked: Sequence[Asked], ended: float) -> float:
    """Seconds from the end of the fault to the end of the last request that failed."""
    failed = [each for each in asked if not each.good]
    return max((each.ended - ended for each in failed if each.ended > ended), default=0.0)


def seen(figures: Mapping[str, Any]) -> str:
    """The figures in words, for the page."""
    counts = [f"{count} × {status}" for status, count in figures["statuses"].items()]
    counts += [f"{count} × {error}" for error, count in figures["errors"].items()]
    speed = f"p99 {figures['p99_ms']:.0f} ms, slowest {figures['slowest_ms']:.0f} ms"
    late = figures["steady_s"]
    again = f"all good {late:.1f} s after" if late else "no failure after"
    return f"{', '.join(counts)}; {speed}; {again}"
