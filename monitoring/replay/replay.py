"""Replay: logged rows are scored once more, and compared with what was answered."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from monitoring.decode.personal import Personal
from monitoring.replay.inputs import LoggedDict, model_inputs, request_times, unkept_inputs
from potluck.contract.errors import PotluckError
from potluck.contract.fields import Literals
from potluck.scoring.model import Model
from potluck.scoring.releases import Release, Releases

LARGEST_SHOWN = 20


@dataclass(frozen=True)
class Replayed:
    """One row, replayed."""

    request_id: str
    row: int | None
    prediction: Literals | None
    logged: Literals | None
    equal: bool
    """Whether both are the same to the bit; False where the row can't be replayed."""
    why: str | None = None
    """Why there is no prediction, or whose prediction it is."""


@dataclass(frozen=True)
class Difference:
    """What all rows of a window gave."""

    rows: int
    equal: int
    changed: int
    not_replayed: dict[str, int]
    """Reason -> rows."""
    largest: list[Replayed]
    """The answers that change most."""

    def text(self) -> str:
        """For people."""
        lines = [f"{self.rows:,} rows: {self.equal:,} equal to the bit, {self.changed:,} changed"]
        for reason, count in self.not_replayed.items():
            lines.append(f"  {count:,} not replayed: {reason}")
        for each in self.largest:
            place = "" if each.row is None else f" row {each.row}"
            lines.append(f"  {each.request_id}{place}: {each.logged} -> {each.prediction}")
        return "\n".join(lines)


class Replayer:
    """Scores logged rows with the bundles that lie in a home."""

    def __init__(self, releases: Releases, personal: Personal, columns: Sequence[str]) -> None:
        """
        Args:
            columns: those of the log.
        """
        self.releases, self.personal, self.columns = releases, personal, set(columns)
        self.models: dict[str, Model] = {}

    def replay(self, rows: Sequence[LoggedDict], instead: Release | None = None) -> list[Replayed]:
        """Score rows once more.

        Args:
            instead: another bundle than the one that answered.

        Returns:
            One for each row, in their order.
        """
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        replayed: dict[int, Replayed] = {}
        for place, row in enumerate(rows):
            reason = not_scored(row)
            if reason:
                replayed[place] = refused(row, reason, equal=row["error_code"] is not None)
            else:
                groups[row["service"], instead.digest if instead else row["bundle"]].append(place)
        for (service, digest), places in groups.items():
            release = instead or Release(service, digest, rows[places[0]]["model_version"])
            answers = self.score([rows[place] for place in places], release, instead)
            replayed.update(zip(places, answers, strict=True))
        return [replayed[place] for place in range(len(rows))]

    def score(
        self, rows: Sequence[LoggedDict], release: Release, instead: Release | None
    ) -> Iterator[Replayed]:
        """Score rows with one bundle; where that can't be, say what is gone."""
        try:
            model = self.model(release)
            unkept = unkept_inputs(model.contract, self.columns, self.personal)
            if unkept:
                reason = f"the log does not hold {', '.join(unkept)}"
                return iter([refused(row, reason) for row in rows])
            scored = model.score(model_inputs(rows, model.contract), request_times(rows))
        except PotluckError as error:
            return iter([refused(row, str(error)) for row in rows])
        whose = f"version {instead.model_version}, which did not answer" if instead else None
        values, shares = scored.predictions.values, scored.predictions.probabilities
        return iter(
            [
                compared(row, value, shares[place] if shares else None, whose)
                for place, (row, value) in enumerate(zip(rows, values, strict=True))
            ]
        )

    def model(self, release: Release) -> Model:
        """Open a bundle once.

        Raises:
            BundleError: it is gone, or does not hold.
        """
        if release.digest not in self.models:
            self.models[release.digest] = self.releases.open(release)
        return self.models[release.digest]


def not_scored(row: LoggedDict) -> str | None:
    """Return why no model scored a row when it was answered; None where one did."""
    if row["error_code"] is not None:
        return f"it was answered with {row['error_code']}, and nothing was scored"
    if row["bundle"] is None:
        return f"it was looked up: run {row['run_id']} had computed it"
    return None


def refused(row: LoggedDict, reason: str, *, equal: bool = False) -> Replayed:
    return Replayed(row["request_id"], row["row"], None, row["prediction"], equal, reason)


def compared(
    row: LoggedDict, value: Literals, shares: dict[str, float] | None, whose: str | None
) -> Replayed:
    """Compare a row's new answer with the one that was given."""
    logged = row["prediction"]
    same_shares = shares is None or dict(row["probabilities"] or {}) == shares
    is_equal = value == logged and same_shares
    return Replayed(row["request_id"], row["row"], value, logged, is_equal, whose)


def difference(replayed: Sequence[Replayed]) -> Difference:
    """Sum a window up."""
    without = Counter(
        each.why for each in replayed if each.prediction is None and each.why is not None
    )
    changed = [each for each in replayed if each.prediction is not None and not each.equal]
    changed.sort(key=change, reverse=True)
    equal = sum(each.equal and each.prediction is not None for each in replayed)
    return Difference(len(replayed), equal, len(changed), dict(without), changed[:LARGEST_SHOWN])


def change(replayed: Replayed) -> float:
    """Return how much an answer changes: of numbers the difference; another class is most."""
    before, after = replayed.logged, replayed.prediction
    if is_number(before) and is_number(after):
        return abs(float(after) - float(before))
    return float("inf")


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
