"""What a fault came to, from the requests that were under way."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

from benchmarks.faults.load import Asked
from benchmarks.machine import Facts

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
    """What a fault came to that lasted from `begun` to `ended`, by `time.monotonic()`."""
    during = [each for each in asked if was_under_way(each, begun, ended)]
    answered = [each for each in during if each.status]
    statuses = [str(each.status) for each in answered]
    errors = [each.error for each in during if each.error]
    times = sorted(each.ms for each in answered)
    p50, p99 = percentiles(times)
    steady = seconds_until_steady(asked, ended)
    return Figures(
        requests=len(during),
        statuses=counted(statuses),
        errors=counted(errors),
        p50_ms=round(p50, 2),
        p99_ms=round(p99, 2),
        slowest_ms=round(max(times, default=0.0), 2),
        wrong=len([each for each in asked if each.wrong]),
        unexpected=sum(map(is_unexpected, asked)),
        first_good_s=round(first_good(asked, during, ended), 3),
        steady_s=round(steady, 3),
    )


def counted(words: Sequence[str]) -> dict[str, int]:
    """Word -> how often it came, in alphabetical order."""
    return dict(sorted(Counter(words).items()))


def is_unexpected(request: Asked) -> bool:
    """Whether it was answered, and with a status that a good request never gets."""
    return bool(request.status) and request.status not in EXPECTED


def was_under_way(request: Asked, begun: float, ended: float) -> bool:
    """Whether a request began or ended while the fault lasted."""
    began_within = begun <= request.begun < ended
    ended_within = begun < request.ended <= ended
    return began_within or ended_within


def percentiles(answers: Sequence[float]) -> tuple[float, float]:
    """p50 and p99; of fewer than two answers, the one."""
    if not answers:
        return 0.0, 0.0
    if len(answers) == 1:
        return answers[0], answers[0]
    cuts = quantiles(answers, n=100, method="inclusive")
    return cuts[49], cuts[98]


def first_good(asked: Sequence[Asked], during: Sequence[Asked], ended: float) -> float:
    """Seconds from the fault's end to the first right answer of a kind that failed."""
    failed = {each.kind for each in during if not each.good}
    good = [each for each in asked if each.kind in failed and each.good]
    return min(seconds_after(ended, good), default=0.0)


def seconds_until_steady(asked: Sequence[Asked], ended: float) -> float:
    """Seconds from the end of the fault to the end of the last request that failed."""
    failed = [each for each in asked if not each.good]
    return max(seconds_after(ended, failed), default=0.0)


def seconds_after(moment: float, requests: Sequence[Asked]) -> list[float]:
    """How long after a moment those requests ended that ended after it."""
    return [each.ended - moment for each in requests if each.ended > moment]


def seen(figures: Facts) -> str:
    """The figures in words, for the page."""
    counts = []
    for counted_by in ("statuses", "errors"):
        for word, count in figures[counted_by].items():
            counts.append(f"{count} × {word}")
    p99 = f"p99 {figures['p99_ms']:.0f} ms"
    slowest = f"slowest {figures['slowest_ms']:.0f} ms"
    again = "no failure after"
    if figures["steady_s"]:
        again = f"all good {figures['steady_s']:.1f} s after"
    return f"{', '.join(counts)}; {p99}, {slowest}; {again}"
