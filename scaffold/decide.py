"""From a table and somebody's wishes to a plan."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.errors import DataError
from potluck.contract.features import SplitKind
from potluck.stores.ingest.intake import identities
from scaffold.decider import Decider
from scaffold.objective import choose_objective, choose_transform, class_notes, declare_label
from scaffold.plan import ROW_NUMBER, ColumnChoice, Key, RepoPlan
from scaffold.split_features import split_features
from scaffold.table import ColumnProfile, ProfiledTable
from scaffold.wishes import Asking, Wishes

FEWEST_FEATURES = 2


def decide(table: ProfiledTable, wishes: Wishes, name: str, ask: Asking) -> RepoPlan:
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
    label = declare_label(label, objective)
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
    return RepoPlan(
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


def described_key(profile: ColumnProfile | None) -> Key:
    if profile is None:
        return Key(ROW_NUMBER, "int64", None, repeats=False)
    known = len(profile.values) - profile.missing
    return Key(profile.name, profile.dtype, profile.header, repeats=profile.distinct < known)


def taken_choices(
    label: ColumnProfile, key_profile: ColumnProfile | None, time: ColumnProfile | None, key: Key
) -> dict[str, ColumnChoice]:
    """Those of label, key and time."""
    taken = {label.header: ColumnChoice(label, "label", "what is to be predicted")}
    if key_profile is not None:
        told = "the id; several rows share one" if key.repeats else "the id; each row has its own"
        taken[key_profile.header] = ColumnChoice(key_profile, "key", told)
    if time is not None:
        form = f", read as {time.column.format}" if time.column.format else ""
        taken[time.header] = ColumnChoice(time, "time", f"when a row was known{form}")
    return taken


def check_features(features: Mapping[str, ColumnChoice]) -> None:
    usable = [choice.name for choice in features.values() if choice.role != "left out"]
    if len(usable) >= FEWEST_FEATURES:
        return
    out = "; ".join(
        f"{choice.name}: {choice.reason}"
        for choice in features.values()
        if choice.role == "left out"
    )
    found = f"expected at least {FEWEST_FEATURES} columns to learn from (one that a request brings, one that the store"
    told = f" looks up), got {len(usable)} {usable}"
    raise DataError(found + told + (f"; left out: {out}" if out else ""))


def choose_split(key: Key, time: ColumnProfile | None, notes: list[str]) -> SplitKind:
    """By time, where rows have one."""
    if time is not None and time.distinct > 1:
        return "time"
    split: SplitKind = "key" if key.repeats else "random"
    what = "by id" if split == "key" else "at random"
    notes.append(
        f"without dates that differ, models are measured on rows chosen {what} (the tag split), not on later ones"
    )
    return split


def identity_of(
    key: Key, profile: ColumnProfile | None, time: ColumnProfile | None, request: Sequence[str]
) -> tuple[str, ...]:
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
