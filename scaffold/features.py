"""Judge which columns a model may learn from, and why the others are left out."""

import re
from dataclasses import KW_ONLY, dataclass

import numpy as np
import pyarrow as pa

from scaffold.leaks import SURE, SUSPICIOUS, tell_label
from scaffold.profile import ColumnProfile

ID_NAME = re.compile(r"(^|_|\b)(id|uuid|guid|key|nr|no|number|index)$|[a-z](Id|ID)$", re.IGNORECASE)
CODE_NAME = re.compile(
    r"(code|zip|postal|zone|type|class|category|group|region|_?id)s?$", re.IGNORECASE
)
INDEX_NAME = re.compile(r"(^$|unnamed|index|^row)", re.IGNORECASE)

ID_SHARE = 0.9  # of the known values differ
MOST_CATEGORIES = 1000
TEXT_SHARE = 0.5  # of the known values differ
FEW_ROWS = 50  # too few to tell free text from categories
NEARLY_EMPTY = 0.99
OFTEN_MISSING = 0.5
MOST_CODES = 100


@dataclass(frozen=True)
class Verdict:
    """Whether a model may learn from a column, and why."""

    reason: str
    _: KW_ONLY
    keep: bool
    forced: bool = False
    """No flag of the user's can bring the column back."""
    doubtful: bool = False
    """The user is asked."""


def judge(profile: ColumnProfile, label: ColumnProfile, *, label_is_number: bool) -> Verdict:
    """Judge whether to learn from a column, and note what the user should know of it."""
    refused = unusable(profile) or unlikely(profile)
    if refused is not None:
        return refused
    told = tell_label(profile.values, label.values, is_number=label_is_number)
    if told >= SURE:
        reason = (
            f"tells {label.name} by itself ({told:.1%}): a copy, a transform or a consequence of it"
        )
        return Verdict(reason, keep=False, doubtful=True)
    notes = [*profile.notes]
    if told >= SUSPICIOUS:
        notes.append(
            f"tells {label.name} nearly by itself ({told:.1%}): is it known before {label.name} is?"
        )
    missing = profile.missing / len(profile.values)
    if missing >= OFTEN_MISSING:
        notes.append(f"{missing:.0%} missing")
    return Verdict("; ".join(notes), keep=True)


def unusable(profile: ColumnProfile) -> Verdict | None:
    """Judge a column that no flag can bring back; None for any other."""
    if not profile.declared:
        return Verdict(profile.notes[0], keep=False, forced=True)
    if profile.distinct == 0:
        return Verdict("empty", keep=False, forced=True)
    if profile.distinct == 1 and not profile.missing:
        return Verdict(f"constant: always {profile.values[0].as_py()!r}", keep=False, forced=True)
    if profile.is_time:
        told = "a day or time, which no model takes as it is: make a number of it in ingest.py"
        return Verdict(told, keep=False, forced=True)
    return None


def unlikely(profile: ColumnProfile) -> Verdict | None:
    """Judge a column that teaches nothing about the next row; None for any other.

    The user may know better.
    """
    known = len(profile.values) - profile.missing
    if profile.missing >= NEARLY_EMPTY * len(profile.values):
        return Verdict(
            f"nearly empty: {known} of {len(profile.values)} rows have a value", keep=False
        )
    if counts_rows(profile):
        return Verdict("counts the rows", keep=False)
    if is_id(profile):
        return Verdict(
            f"an id by its name: {profile.distinct} different values in {known} rows", keep=False
        )
    if profile.dtype != "string":
        return None
    many = known >= FEW_ROWS and profile.distinct > TEXT_SHARE * known
    if many or profile.distinct > MOST_CATEGORIES:
        return Verdict(
            f"free text, or an id: {profile.distinct} different texts in {known} rows", keep=False
        )
    return None


def is_id(profile: ColumnProfile) -> bool:
    """Say whether a column is an id: by its name, and because hardly any value comes twice."""
    if profile.dtype not in ("int64", "string"):
        return False
    known = len(profile.values) - profile.missing
    if ID_NAME.search(profile.header.strip()) is None:
        return False
    if profile.distinct < ID_SHARE * known and profile.distinct <= MOST_CATEGORIES:
        return False
    return known >= FEW_ROWS or profile.distinct == known


def counts_rows(profile: ColumnProfile) -> bool:
    """Say whether a column is an index as pandas writes it: 0, 1, 2 and so on."""
    if profile.dtype != "int64" or profile.missing or not INDEX_NAME.search(profile.header.strip()):
        return False
    numbers = profile.values.to_numpy()
    return len(numbers) > 1 and bool((np.diff(numbers) == 1).all())


def is_unique(profile: ColumnProfile) -> bool:
    return not profile.missing and profile.distinct == len(profile.values)


def is_code(profile: ColumnProfile) -> bool:
    """Say whether a column of integers holds categories, by its name."""
    few = profile.distinct <= MOST_CODES
    return profile.dtype == "int64" and few and CODE_NAME.search(profile.header.strip()) is not None


def varies_within(profile: ColumnProfile, keys: pa.ChunkedArray) -> float:
    """Compute the share of keys in whose rows a column has several values.

    Only keys of several rows count.
    """
    frame = pa.table({"key": keys, "value": profile.values}).filter(keys.is_valid())
    counted = frame.group_by("key").aggregate([("value", "count_distinct"), ("key", "count")])
    rows = counted["key_count"].to_numpy()
    values = counted["value_count_distinct"].to_numpy()
    several = rows > 1
    if not several.any():
        return 0.0
    return float((values[several] > 1).mean())
