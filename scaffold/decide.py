"""From a table and somebody's wishes to a plan."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.errors import DataError
from potluck.contract.features import SplitKind
from potluck.stores.ingest.row_identities import identities
from scaffold.decider import Decider
from scaffold.objective import choose_objective, choose_transform, class_notes, declare_label
from scaffold.plan import ROW_NUMBER, ColumnChoice, Key, RepoPlan
from scaffold.profile import ColumnProfile, ProfiledTable
from scaffold.split_features import split_features
from scaffold.wishes import Asking, Wishes

FEWEST_FEATURES = 2


def decide(table: ProfiledTable, wishes: Wishes, name: str, ask: Asking) -> RepoPlan:
    """Decide everything that the written repo follows from.

    Raises:
        UsageError: a flag is wrong, or one is needed.
        DataError: three services can't be made of this table.
    """
    decider = Decider(table, wishes, ask)
    label = decider.decide_label()
    key_profile = decider.decide_key(label)
    taken_columns = [label] if key_profile is None else [label, key_profile]
    time = decider.decide_time(taken_columns)
    objective = choose_objective(label, wishes, ask, decider.notes)
    label = declare_label(label, objective)
    key = key_of(key_profile)
    taken = taken_choices(label, key_profile, time, key)
    features = decider.decide_features(taken, label, label_is_number=objective == "regression")
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


def key_of(profile: ColumnProfile | None) -> Key:
    if profile is None:
        return Key(ROW_NUMBER, "int64", None, repeats=False)
    known = len(profile.values) - profile.missing
    return Key(profile.name, profile.dtype, profile.header, repeats=profile.distinct < known)


def taken_choices(
    label: ColumnProfile, key_profile: ColumnProfile | None, time: ColumnProfile | None, key: Key
) -> dict[str, ColumnChoice]:
    """Return the choices of label, key and time, by header."""
    taken = {label.header: ColumnChoice(label, "label", "what is to be predicted")}
    if key_profile is not None:
        told = "the id; several rows share one" if key.repeats else "the id; each row has its own"
        taken[key_profile.header] = ColumnChoice(key_profile, "key", told)
    if time is not None:
        form = f", read as {time.column.format}" if time.column.format else ""
        taken[time.header] = ColumnChoice(time, "time", f"when a row was known{form}")
    return taken


def check_features(features: Mapping[str, ColumnChoice]) -> None:
    """Check that there are enough columns to learn from.

    Raises:
        DataError: there are not.
    """
    usable, out = list[str](), list[str]()
    for choice in features.values():
        if choice.role == "left out":
            out.append(f"{choice.name}: {choice.reason}")
        else:
            usable.append(choice.name)
    if len(usable) >= FEWEST_FEATURES:
        return
    reasons = f"; left out: {'; '.join(out)}" if out else ""
    raise DataError(
        f"expected at least {FEWEST_FEATURES} columns to learn from (one that a request brings, "
        f"one that the store looks up), got {len(usable)} {usable}{reasons}"
    )


def choose_split(key: Key, time: ColumnProfile | None, notes: list[str]) -> SplitKind:
    """Split by time where rows have dates that differ; else by id, or at random."""
    if time is not None and time.distinct > 1:
        return "time"
    split: SplitKind = "key" if key.repeats else "random"
    what = "by id" if split == "key" else "at random"
    notes.append(
        f"without dates that differ, models are measured on rows chosen {what} (the tag split), "
        "not on later ones"
    )
    return split


def identity_of(
    key: Key, profile: ColumnProfile | None, time: ColumnProfile | None, request: Sequence[str]
) -> tuple[str, ...]:
    """Return the columns that, beside the date, say which observation a row is.

    The id alone; where an id comes twice with one date, the id and the request.
    """
    if profile is None:
        return (key.name,)
    columns = {"key": profile.values}
    if time is not None:
        columns["time"] = time.values
    table = pa.table(columns)
    known = table.filter(pc.is_valid(table["key"]))
    alone = len(np.unique(identities(known, known.column_names))) == known.num_rows
    return (key.name,) if alone else (key.name, *request)
