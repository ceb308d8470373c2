"""From a table and somebody's wishes to a plan: label, key, time, and each column's role."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.errors import DataError, UsageError
from potluck.contract.moments import EARLIEST, LATEST
from potluck.stores.intake import identities
from scaffold.features import ID_NAME, Verdict, counts_rows, is_code, is_unique, judge
from scaffold.names import find_column
from scaffold.objective import cast, choose_objective, choose_transform, class_notes, label_declared
from scaffold.plan import ROW_NUMBER, Choice, Key, Plan, Split
from scaffold.split_features import split_features
from scaffold.table import Profile, Table
from scaffold.wishes import Asking, Wishes

FEWEST_ROWS = 20
FEWEST_FEATURES = 2
LABEL_NAMES = ("target", "label", "y", "class", "outcome")
NONE = "none"


@dataclass
class Decider:
    """Takes one decision after the other, and notes each."""

    table: Table
    wishes: Wishes
    ask: Asking
    notes: list[str] = field(default_factory=list)

    def find(self, flag: str, wanted: str) -> Profile:
        return self.table.profiles[find_column(flag, wanted, self.table.names)]

    def headers(self, flag: str, wanted: Iterable[str]) -> set[str]:
        return {find_column(flag, each, self.table.names) for each in wanted}

    def label(self) -> Profile:
        headers = list(self.table.profiles)
        wanted = self.wishes.label
        if wanted is None:
            likely = next((header for header in headers if header.lower() in LABEL_NAMES), headers[-1])
            wanted = self.ask("--label", "Which column is to be predicted?", headers, likely, needed=True)
        label = self.find("--label", wanted)
        known = self.table.rows - label.missing
        if not label.declared or label.is_time:
            raise UsageError(f"--label: expected numbers or classes, {label.header} holds {label.dtype}")
        if known < FEWEST_ROWS:
            raise DataError(f"--label: expected at least {FEWEST_ROWS} rows with {label.header}, got {known}")
        if label.missing:
            told = "no model learns from them, and the night scores them"
            self.notes.append(f"{label.missing} rows have no {label.name}: {told}")
        return label

    def key(self, label: Profile) -> Profile | None:
        """The column with the ids; None numbers the rows."""
        wanted = self.wishes.key or self.likely_key(label)
        if wanted == NONE:
            self.notes.append(
                f"no id: the rows are numbered as they stand in the file ({ROW_NUMBER}); --key names a column with ids"
            )
            return None
        key = self.find("--key", wanted)
        if key.header == label.header:
            raise UsageError(f"--key: expected another column than the label {label.header}")
        if key.dtype == "float64" and whole(key):
            key = cast(key, "int64")
        if key.dtype not in ("int64", "string"):
            raise UsageError(f"--key: expected integers or text, {key.header} holds {key.dtype}")
        if key.missing:
            self.notes.append(f"{key.missing} rows have no {key.name}: ingest leaves them out")
        return key

    def likely_key(self, label: Profile) -> str:
        """The header of an id that no row shares with another, or none."""
        others = [profile for profile in self.table.profiles.values() if profile.header != label.header]
        named = [p for p in others if p.dtype in ("int64", "string") and ID_NAME.search(p.header.strip())]
        unique = [p.header for p in named if is_unique(p)]
        unique += [p.header for p in others if counts_rows(p) and p.header not in unique]
        repeating = [p.header for p in named if not is_unique(p) and 1 < p.distinct < self.table.rows / 2]
        likely = unique[0] if unique else NONE
        if not unique and not repeating:
            return NONE
        question = "Which column says which thing a row is about?"
        answer = self.ask("--key", question, (*unique, *repeating, NONE), likely)
        if answer != NONE:
            self.notes.append(f"{self.table.profiles[answer].name} is taken for the id; --key names another")
        elif repeating:
            self.notes.append(f"--key {repeating[0]} if several rows are about one {repeating[0]}")
        return answer

    def time(self, taken: Sequence[Profile]) -> Profile | None:
        """The column that says when a row was known; None dates all rows alike."""
        headers = {profile.header for profile in taken}
        wanted = self.wishes.time or self.likely_time(headers)
        if wanted == NONE:
            self.notes.append("no date: all rows are dated alike (SNAPSHOT, LABELLED in ingest.py)")
            return None
        time = self.find("--time", wanted)
        if time.header in headers:
            raise UsageError(f"--time: {time.header} is the label or the key already")
        if not time.is_time:
            raise UsageError(f"--time: expected days or times, {time.header} holds {time.dtype}")
        if len(time.declared) > 1:
            time = self.told_apart(time)
        self.tell_undated(time)
        return time

    def likely_time(self, taken: set[str]) -> str:
        dates = [p.header for p in self.table.profiles.values() if p.is_time and p.header not in taken]
        if not dates:
            return NONE
        question = "Which column says when a row was known? None of its other values may be known later."
        answer = self.ask("--time", question, (*dates, NONE), dates[0], needed=len(dates) > 1)
        if answer != NONE:
            self.notes.append(f"{answer} is taken for the time at which a row was known; --time none if it is not")
        return answer

    def told_apart(self, time: Profile) -> Profile:
        """Day and month in the order that somebody says."""
        forms = {str(column.format): column for column in time.declared}
        question = f"Which comes first in {time.header}, the day or the month?"
        chosen = forms[self.ask("--date-format", question, tuple(forms), next(iter(forms)), needed=True)]
        return replace(time, declared=(chosen,))

    def tell_undated(self, time: Profile) -> None:
        if time.missing:
            self.notes.append(f"{time.missing} rows have no {time.name}: ingest leaves them out")
        moments = time.values.cast(pa.timestamp("us")).drop_null().to_numpy()
        first, last = (np.datetime64(end.replace(tzinfo=None)) for end in (EARLIEST, LATEST))
        outside = int(((moments < first) | (moments >= last)).sum())
        if outside:
            self.notes.append(f"{outside} rows are dated before 1678 or after 2261: ingest leaves them out")

    def features(self, taken: Mapping[str, Choice], label: Profile, *, label_is_number: bool) -> dict[str, Choice]:
        """Every other column, to learn from or left out; the role of those to learn from comes later."""
        dropped = self.headers("--drop", self.wishes.drop)
        kept = self.headers("--keep", self.wishes.keep)
        categories = self.headers("--categorical", self.wishes.categorical)
        found = {}
        for header, profile in self.table.profiles.items():
            if header in taken:
                continue
            if header in dropped:
                found[header] = Choice(profile, "left out", "--drop")
                continue
            verdict = judge(profile, label, label_is_number=label_is_number)
            if not verdict.keep and header not in kept and not verdict.forced:
                verdict = self.second_thought(profile, verdict)
            found[header] = choice_of(profile, verdict, kept=header in kept, category=header in categories)
        return found

    def second_thought(self, profile: Profile, verdict: Verdict) -> Verdict:
        """Somebody may know better than to leave a column out."""
        question = f"{profile.header}: {verdict.reason}. Leave it out?"
        if self.ask("--keep", question, ("yes", "no"), "yes") == "no":
            return Verdict(True, f"kept, though {verdict.reason}")
        return replace(verdict, reason=f"{verdict.reason}; --keep {profile.name} keeps it")


def decide(table: Table, wishes: Wishes, name: str, ask: Asking) -> Plan:
    """Everything that the repo follows from.

    Raises:
        UsageError: a flag is wrong, or one is needed.
        DataError: three services can't be made of this table.
    """
    decider = Decider(table, wishes, ask)
    label = decider.label()
    key_profile = decider.key(label)
    time = decider.time([label, *([key_profile] if key_profile else [])])
    objective = choose_objective(label, wishes, ask, decider.notes)
    label = label_declared(label, objective)
    key = described_key(key_profile)
    taken = taken_choices(label, key_profile, time, key)
    features = decider.features(taken, label, label_is_number=objective == "regression")
    check_features(features)
    divided = split_features(features, key_profile if key.repeats else None, decider)
    choices = tuple(taken.get(header) or divided[header] for header in table.profiles)
    request = [choice.name for choice in choices if choice.role == "request"]
    transform = choose_transform(label, objective, decider.notes)
    split = choose_split(key, time, decider.notes)
    decider.notes += class_notes(label, objective)
    return Plan(
        name=name,
        table=table,
        choices=choices,
        key=key,
        objective=objective,
        transform=transform,
        label_dtype=label.dtype,
        split=split,
        identity=identity_of(key, key_profile, time, request),
        notes=tuple(decider.notes),
    )


def described_key(profile: Profile | None) -> Key:
    if profile is None:
        return Key(ROW_NUMBER, "int64", None, repeats=False)
    known = len(profile.values) - profile.missing
    return Key(profile.name, profile.dtype, profile.header, repeats=profile.distinct < known)


def taken_choices(label: Profile, key_profile: Profile | None, time: Profile | None, key: Key) -> dict[str, Choice]:
    """Those of label, key and time."""
    taken = {label.header: Choice(label, "label", "what is to be predicted")}
    if key_profile is not None:
        told = "the id; several rows share one" if key.repeats else "the id; each row has its own"
        taken[key_profile.header] = Choice(key_profile, "key", told)
    if time is not None:
        form = f", read as {time.column.format}" if time.column.format else ""
        taken[time.header] = Choice(time, "time", f"when a row was known{form}")
    return taken


def choice_of(profile: Profile, verdict: Verdict, *, kept: bool, category: bool) -> Choice:
    """A column to learn from, or left out."""
    if not verdict.keep and (verdict.forced or not kept):
        return Choice(profile, "left out", verdict.reason)
    reasons = [verdict.reason] if verdict.reason else []
    if not verdict.keep:
        reasons = [f"kept, though {verdict.reason}"]
    coded = profile.dtype != "string" and (category or is_code(profile))
    if coded:
        reasons.append("a category" if category else "a category by its name")
    return Choice(profile, "record", "; ".join(reasons), categorical=coded)


def check_features(features: Mapping[str, Choice]) -> None:
    usable = [choice.name for choice in features.values() if choice.role != "left out"]
    if len(usable) >= FEWEST_FEATURES:
        return
    out = "; ".join(f"{choice.name}: {choice.reason}" for choice in features.values() if choice.role == "left out")
    found = f"expected at least {FEWEST_FEATURES} columns to learn from (one that a request brings, one that the store"
    told = f" looks up), got {len(usable)} {usable}"
    raise DataError(found + told + (f"; left out: {out}" if out else ""))


def choose_split(key: Key, time: Profile | None, notes: list[str]) -> Split:
    """By time, where rows have one."""
    if time is not None and time.distinct > 1:
        return "time"
    split: Split = "key" if key.repeats else "random"
    what = "by id" if split == "key" else "at random"
    notes.append(
        f"without dates that differ, models are measured on rows chosen {what} (the tag split), not on later ones"
    )
    return split


def identity_of(key: Key, profile: Profile | None, time: Profile | None, request: Sequence[str]) -> tuple[str, ...]:
    """What says, beside the date, which observation a row is: the id, or id and request where an id comes twice."""
    if profile is None:
        return (key.name,)
    columns = {"key": profile.values}
    if time is not None:
        columns["time"] = time.values
    table = pa.table(columns)
    known = table.filter(pc.is_valid(table["key"]))
    alone = len(np.unique(identities(known, known.column_names))) == known.num_rows
    return (key.name,) if alone else (key.name, *request)


def whole(profile: Profile) -> bool:
    """Whether all numbers are integers."""
    numbers = profile.values.drop_null().to_numpy()
    return bool((numbers == np.floor(numbers)).all())
