"""What a comparison found: counts by verdict, rows left out by reason, and examples."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from monitoring.replay.inputs import LoggedDict
from monitoring.skew.verdicts import EQUAL, VERDICTS, SeenValue, Verdict

Kind = Literal["online", "on-demand"]
EXAMPLES = 5
NOT_IN_BUNDLE = "the bundle has no such feature"


@dataclass(frozen=True)
class Example:
    """A row whose two sides are not equal."""

    request_id: str
    row: int | None
    verdict: Verdict
    logged: Any
    """As the model saw it: with the bundle's default where it was missing."""
    offline: Any
    """As the model would see it: with the default of today's definition."""
    logged_event_time: datetime | None
    offline_event_time: datetime | None

    def text(self) -> str:
        """For people."""
        place = ""
        if self.row is not None:
            place = f" row {self.row}"
        values = f"logged {self.logged!r}, offline {self.offline!r}"
        said = f"{self.request_id}{place}: {self.verdict}: {values}"
        times = self.logged_event_time, self.offline_event_time
        if times == (None, None):
            return said
        return f"{said} (dated {moment_text(times[0])}, offline {moment_text(times[1])})"


@dataclass(frozen=True)
class FeatureSkew:
    """One feature of a service. Its rows are those compared and those left out."""

    feature: str
    kind: Kind
    rows: int
    compared: int
    verdicts: dict[Verdict, int]
    left_out: dict[str, int]
    """Reason -> rows."""
    consistency: float | None
    """Share of the compared rows that are equal; None where none was compared."""
    examples: list[Example]


@dataclass(frozen=True)
class ServiceSkew:
    """One service. Its rows are those compared and those left out."""

    service: str
    rows: int
    compared: int
    left_out: dict[str, int]
    consistency: float | None
    """Share of equal values among all compared ones, over all features."""
    features: list[FeatureSkew]

    def lines(self) -> list[str]:
        """For people: the service, then its features that are not equal everywhere."""
        head = f"{self.service}: {self.rows:,} rows, {self.compared:,} compared"
        lines = [f"{head}, consistency {share_text(self.consistency)}"]
        lines += [f"  {count:,} left out: {why}" for why, count in self.left_out.items()]
        equal = 0
        for each in self.features:
            if each.consistency == 1 and each.left_out == self.left_out:
                equal += 1
            else:
                lines += feature_lines(each, self.left_out)
        lines.append(f"  {equal} of {len(self.features)} features are equal in every row")
        return lines


@dataclass(frozen=True)
class Skew:
    """All services that were looked at."""

    services: list[ServiceSkew]

    @property
    def largest_share(self) -> float:
        """The largest share of values of a service that are not equal; 0.0 without any value."""
        scores = [each.consistency for each in self.services if each.consistency is not None]
        return 1 - min(scores, default=1.0)

    def text(self) -> str:
        """For people."""
        lines: list[str] = []
        for each in self.services:
            lines += each.lines()
        return "\n".join(lines) or "no row of a hybrid service was logged in this time"


@dataclass
class FeatureTally:
    """What is counted of one feature."""

    kind: Kind
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    def add(self, verdict: Verdict) -> bool:
        """Count a row that was compared.

        Returns:
            Whether it is wanted as an example.
        """
        self.verdicts[verdict] += 1
        return verdict != EQUAL and len(self.examples) < EXAMPLES

    def skew(self, feature: str, rows: int, left_out: Counter[str]) -> FeatureSkew:
        """Sum up.

        Args:
            rows: those of the service.
            left_out: the rows that the service left out.
        """
        compared = self.verdicts.total()
        without = left_out + self.left_out
        if rest := rows - compared - without.total():
            without[NOT_IN_BUNDLE] += rest
        verdicts = {each: self.verdicts[each] for each in VERDICTS if self.verdicts[each]}
        score = share(self.verdicts[EQUAL], compared)
        return FeatureSkew(
            feature, self.kind, rows, compared, verdicts, dict(without), score, self.examples
        )


class ServiceTally:
    """What is counted of one service."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.rows = 0
        self.left_out: Counter[str] = Counter()
        self.features: dict[tuple[Kind, str], FeatureTally] = {}

    def feature(self, kind: Kind, name: str) -> FeatureTally:
        """Return the tally of a feature."""
        return self.features.setdefault((kind, name), FeatureTally(kind))

    def skew(self) -> ServiceSkew:
        """Sum up."""
        features: list[FeatureSkew] = []
        values = equal = 0
        for (_, name), tally in self.features.items():
            features.append(tally.skew(name, self.rows, self.left_out))
            values += tally.verdicts.total()
            equal += tally.verdicts[EQUAL]
        compared = self.rows - self.left_out.total()
        score = share(equal, values)
        return ServiceSkew(self.service, self.rows, compared, dict(self.left_out), score, features)


def example_of(
    row: LoggedDict,
    verdict: Verdict,
    served: SeenValue,
    offline: SeenValue,
    times: tuple[datetime | None, datetime | None] = (None, None),
) -> Example:
    """Return a row as an example.

    Args:
        times: event times of the record that was looked up, and of the offline one.
    """
    place = row["request_id"], row["row"]
    return Example(*place, verdict, served.filled, offline.filled, *times)


def feature_lines(each: FeatureSkew, told: dict[str, int]) -> list[str]:
    """Return a feature's counts and examples.

    Args:
        told: the rows that the service left out, which stand above.
    """
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in each.verdicts.items())
    lines = [f"  {each.kind} {each.feature}: {counts or 'no row compared'}"]
    for why, count in each.left_out.items():
        if told.get(why) != count:
            lines.append(f"    {count - told.get(why, 0):,} left out: {why}")
    return lines + [f"    {example.text()}" for example in each.examples]


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def share_text(score: float | None) -> str:
    if score is None:
        return "unknown"
    return f"{score:.6f}"


def moment_text(moment: datetime | None) -> str:
    if moment is None:
        return "no record"
    return moment.isoformat()
