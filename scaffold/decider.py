"""Decisions from a table and the user's wishes: label, key, time, features.

Each is noted with the flag that decides it in another way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from potluck.contract.errors import DataError, UsageError
from potluck.contract.moments import EARLIEST, LATEST
from scaffold.features import ID_NAME, Verdict, counts_rows, is_code, is_unique, judge
from scaffold.names import find_column
from scaffold.objective import redeclare
from scaffold.plan import ROW_NUMBER, ColumnChoice
from scaffold.profile import ColumnProfile, ProfiledTable
from scaffold.wishes import Asking, Wishes

FEWEST_ROWS = 20
LABEL_NAMES = ("target", "label", "y", "class", "outcome")
NONE = "none"


@dataclass
class Decider:
    """Takes one decision after the other, and notes each."""

    table: ProfiledTable
    wishes: Wishes
    ask: Asking
    notes: list[str] = field(default_factory=list)

    def find_profile(self, flag: str, wanted: str) -> ColumnProfile:
        return self.table.profiles[find_column(flag, wanted, self.table.names)]

    def find_headers(self, flag: str, wanted: Iterable[str]) -> set[str]:
        return {find_column(flag, each, self.table.names) for each in wanted}

    def decide_label(self) -> ColumnProfile:
        """Find the column to predict: the wished one, or one that the user is asked for.

        Raises:
            UsageError: there is no such column, or it holds dates.
            DataError: too few rows have a label.
        """
        headers = list(self.table.profiles)
        wanted = self.wishes.label
        if wanted is None:
            named = [header for header in headers if header.lower() in LABEL_NAMES]
            likely = named[0] if named else headers[-1]
            question = "Which column is to be predicted?"
            wanted = self.ask("--label", question, headers, likely, needed=True)
        label = self.find_profile("--label", wanted)
        known = self.table.rows - label.missing
        if not label.declared or label.is_time:
            raise UsageError(
                f"--label: expected numbers or classes, {label.header} holds {label.dtype}"
            )
        if known < FEWEST_ROWS:
            raise DataError(
                f"--label: expected at least {FEWEST_ROWS} rows with {label.header}, got {known}"
            )
        if label.missing:
            told = "no model learns from them, and the night scores them"
            self.notes.append(f"{label.missing} rows have no {label.name}: {told}")
        return label

    def decide_key(self, label: ColumnProfile) -> ColumnProfile | None:
        """Find the column with the ids; None where rows are numbered.

        Raises:
            UsageError: there is no such column, it is the label, or it can't be a key.
        """
        wanted = self.wishes.key or self.likely_key(label)
        if wanted == NONE:
            self.notes.append(
                f"no id: the rows are numbered as they stand in the file ({ROW_NUMBER}); "
                "--key names a column with ids"
            )
            return None
        key = self.find_profile("--key", wanted)
        if key.header == label.header:
            raise UsageError(f"--key: expected another column than the label {label.header}")
        if key.dtype == "float64" and is_whole(key):
            key = redeclare(key, "int64")
        if key.dtype not in ("int64", "string"):
            raise UsageError(f"--key: expected integers or text, {key.header} holds {key.dtype}")
        if key.missing:
            self.notes.append(f"{key.missing} rows have no {key.name}: ingest leaves them out")
        return key

    def likely_key(self, label: ColumnProfile) -> str:
        """Find the header of an id that no two rows share, or ask for one; `none` for no id."""
        others = dict(self.table.profiles)
        del others[label.header]
        unique, repeating = find_ids(others.values(), self.table.rows)
        likely = unique[0] if unique else NONE
        if not unique and not repeating:
            return NONE
        question = "Which column says which thing a row is about?"
        answer = self.ask("--key", question, (*unique, *repeating, NONE), likely)
        if answer != NONE:
            self.notes.append(
                f"{self.table.profiles[answer].name} is taken for the id; --key names another"
            )
        elif repeating:
            self.notes.append(f"--key {repeating[0]} if several rows are about one {repeating[0]}")
        return answer

    def decide_time(self, taken: Sequence[ColumnProfile]) -> ColumnProfile | None:
        """Find the column that says when a row was known; None where all rows are dated alike.

        Args:
            taken: label and key.

        Raises:
            UsageError: there is no such column, it is taken, or it holds no dates.
        """
        headers = {profile.header for profile in taken}
        wanted = self.wishes.time or self.likely_time(headers)
        if wanted == NONE:
            self.notes.append("no date: all rows are dated alike (SNAPSHOT, LABELLED in ingest.py)")
            return None
        time = self.find_profile("--time", wanted)
        if time.header in headers:
            raise UsageError(f"--time: {time.header} is the label or the key already")
        if not time.is_time:
            raise UsageError(f"--time: expected days or times, {time.header} holds {time.dtype}")
        if len(time.declared) > 1:
            time = self.ask_order_of_day(time)
        if self.wishes.timezone != "UTC" and time.dtype == "date":
            self.notes.append("a day begins at midnight UTC, whatever --timezone says")
        self.note_undated(time)
        return time

    def likely_time(self, taken: set[str]) -> str:
        times = [profile.header for profile in self.table.profiles.values() if profile.is_time]
        dates = [header for header in times if header not in taken]
        if not dates:
            return NONE
        question = (
            "Which column says when a row was known? None of its other values may be known later."
        )
        answer = self.ask("--time", question, (*dates, NONE), dates[0], needed=len(dates) > 1)
        if answer != NONE:
            self.notes.append(
                f"{answer} is taken for the time at which a row was known; --time none if it is not"
            )
        return answer

    def ask_order_of_day(self, time: ColumnProfile) -> ColumnProfile:
        """Ask whether day or month comes first."""
        forms = {str(column.format): column for column in time.declared}
        question = f"Which comes first in {time.header}, the day or the month?"
        likely = next(iter(forms))
        chosen = self.ask("--date-format", question, tuple(forms), likely, needed=True)
        return replace(time, declared=(forms[chosen],))

    def note_undated(self, time: ColumnProfile) -> None:
        if time.missing:
            self.notes.append(f"{time.missing} rows have no {time.name}: ingest leaves them out")
        moments = time.values.cast(pa.timestamp("us")).drop_null().to_numpy()
        first, last = (np.datetime64(end.replace(tzinfo=None)) for end in (EARLIEST, LATEST))
        outside = int(((moments < first) | (moments >= last)).sum())
        if outside:
            self.notes.append(
                f"{outside} rows are dated before 1678 or after 2261: ingest leaves them out"
            )

    def decide_features(
        self, taken: Mapping[str, ColumnChoice], label: ColumnProfile, *, label_is_number: bool
    ) -> dict[str, ColumnChoice]:
        """Decide of every other column whether to learn from it.

        Whether the request or the store brings it is decided later.

        Raises:
            UsageError: a flag names the label, the key or the time.
        """
        dropped = self.find_headers("--drop", self.wishes.drop)
        kept = self.find_headers("--keep", self.wishes.keep)
        categories = self.find_headers("--categorical", self.wishes.categorical)
        if others := (dropped | kept | categories) & set(taken):
            other = sorted(others)[0]
            raise UsageError(
                f"--drop, --keep, --categorical: {other} is the {taken[other].role} already"
            )
        found = {}
        for header, profile in self.table.profiles.items():
            if header in taken:
                continue
            if header in dropped:
                found[header] = ColumnChoice(profile, "left out", "--drop")
                continue
            verdict = judge(profile, label, label_is_number=label_is_number)
            if not verdict.keep and header not in kept and not verdict.forced:
                verdict = self.reconsider(profile, verdict)
            is_category = header in categories
            found[header] = choice_of(profile, verdict, kept=header in kept, category=is_category)
        return found

    def reconsider(self, profile: ColumnProfile, verdict: Verdict) -> Verdict:
        """Ask the user, who may know better, whether to leave a doubtful column out."""
        question = f"{profile.header} {verdict.reason}. Leave it out?"
        if verdict.doubtful and self.ask("--keep", question, ("yes", "no"), "yes") == "no":
            return Verdict(f"kept, though {verdict.reason}", keep=True)
        return replace(verdict, reason=f"{verdict.reason}; --keep {profile.name} keeps it")


def find_ids(profiles: Iterable[ColumnProfile], rows: int) -> tuple[list[str], list[str]]:
    """Find the headers of columns that look like an id.

    Returns:
        Those that no two rows share, the likeliest first; those that several rows share.
    """
    unique, repeating, counting = list[str](), list[str](), list[str]()
    for profile in profiles:
        named = profile.dtype in ("int64", "string") and ID_NAME.search(profile.header.strip())
        if named and is_unique(profile):
            unique.append(profile.header)
        elif counts_rows(profile):
            counting.append(profile.header)
        elif named and 1 < profile.distinct < rows / 2:
            repeating.append(profile.header)
    # An id by its name is likelier than a column that only counts the rows.
    return unique + counting, repeating


def choice_of(
    profile: ColumnProfile, verdict: Verdict, *, kept: bool, category: bool
) -> ColumnChoice:
    """Return the choice that a verdict and the user's flags make."""
    if not verdict.keep and (verdict.forced or not kept):
        return ColumnChoice(profile, "left out", verdict.reason)
    reasons = [verdict.reason] if verdict.reason else []
    if not verdict.keep:
        reasons = [f"kept, though {verdict.reason}"]
    coded = profile.dtype != "string" and (category or is_code(profile))
    if coded:
        reasons.append("a category" if category else "a category by its name")
    return ColumnChoice(profile, "record", "; ".join(reasons), categorical=coded)


def is_whole(profile: ColumnProfile) -> bool:
    """Say whether all numbers are integers."""
    numbers = profile.values.drop_null().to_numpy()
    return bool((numbers == np.floor(numbers)).all())
