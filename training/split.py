"""Split rows into those that a model learns from and those that it is measured on."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from potluck.contract.errors import DataError, UsageError
from potluck.contract.features import SplitKind
from training.booster import Places

TEST_SHARE = 0.2
WINDOW_STARTS = (0.4, 0.6, 0.8)
FEW_ROWS = 5_000
"""Below it, candidates are compared on several windows of the learning rows: one is not enough."""


@dataclass(frozen=True)
class Splittable:
    """What a split needs to know of rows that are in order of time."""

    source: str
    times: Sequence[datetime]
    entities: pa.Table
    """The join keys that the rows have as columns; a table without columns where they have none."""
    labels: Sequence[Any]
    classes: bool
    """Whether the labels are classes: then a random split takes its share of each class."""

    def __len__(self) -> int:
        return len(self.times)

    def take(self, rows: Places) -> "Splittable":
        """Take some of the rows, by number."""
        chosen = rows.tolist()
        return replace(
            self,
            times=[self.times[row] for row in chosen],
            entities=self.entities.take(rows),
            labels=[self.labels[row] for row in chosen],
        )


@dataclass(frozen=True)
class RowSplit:
    """Rows by number, both in order of time."""

    learn: Places
    test: Places


def split(rows: Splittable, kind: SplitKind, seed: int) -> RowSplit:
    """Split rows by time, at random, or by key; about a fifth is measured on.

    Raises:
        DataError: the rows can't be split in this way.
        UsageError: they have no key to split by.
    """
    if kind == "random":
        return by_chance(rows, seed)
    if kind == "key":
        return by_key(rows, seed)
    cuts = cuts_in_time(rows.times, [1 - TEST_SHARE])
    if not cuts:
        raise DataError(
            f"every label of {rows.source} has the same timestamp, and a split by time needs two; "
            "train with --split random"
        )
    return before_and_after(cuts[0], len(rows))


def windows(rows: Splittable, kind: SplitKind, seed: int) -> list[RowSplit]:
    """Split the learning rows again, in the same way; several times where they are few."""
    starts = WINDOW_STARTS if len(rows) < FEW_ROWS else WINDOW_STARTS[-1:]
    if kind == "time":
        cuts = cuts_in_time(rows.times, starts)
        if cuts:
            return [before_and_after(cut, end) for cut, end in pairwise([*cuts, len(rows)])]
    enough_keys = kind == "key" and len(distinct(rows.entities)) > len(WINDOW_STARTS)
    split_again = by_key if enough_keys else by_chance
    # From 1 on: the seed itself made the split into learning and test rows.
    return [split_again(rows, seed + number) for number in range(1, len(starts) + 1)]


def cuts_in_time(times: Sequence[datetime], shares: Sequence[float]) -> list[int]:
    """Find where the rows after each share begin; no moment lies on both sides of a cut."""
    cuts = set()
    for share in shares:
        cut = int(len(times) * share)
        while 0 < cut < len(times) and times[cut - 1] == times[cut]:
            cut -= 1
        if cut == 0:  # most rows have the first moment: cut right after it
            cut = next((row for row, time in enumerate(times) if time > times[0]), 0)
        cuts.add(cut)
    return sorted(cuts - {0})


def before_and_after(cut: int, end: int) -> RowSplit:
    return RowSplit(np.arange(cut), np.arange(cut, end))


def by_chance(rows: Splittable, seed: int) -> RowSplit:
    """Measure on every fifth of the rows in random order; of classes, on every fifth of each."""
    order = np.random.default_rng(seed).permutation(len(rows))
    if rows.classes:
        # A stable sort groups the classes, and keeps the random order within each.
        codes = np.unique([str(label) for label in rows.labels], return_inverse=True)[1]
        order = order[np.argsort(codes[order], kind="stable")]
    test = np.sort(order[:: round(1 / TEST_SHARE)])
    return RowSplit(np.setdiff1d(np.arange(len(rows)), test), test)


def by_key(rows: Splittable, seed: int) -> RowSplit:
    """Keep the rows of an entity on one side: entities whose hashes come first are measured on.

    Raises:
        UsageError: the rows have no key.
        DataError: they are all of one entity.
    """
    if not rows.entities.column_names:
        raise UsageError(
            f"--split key needs a join key, and {rows.source} has none as a column; "
            "train with --split random"
        )
    keys = [tuple(row.values()) for row in rows.entities.to_pylist()]
    order = sorted(set(keys), key=lambda key: key_hash(key, seed))
    if len(order) < 2:
        raise DataError(
            f"every label of {rows.source} is of one entity; "
            "train with --split time or --split random"
        )
    tested = set(order[: max(1, round(len(order) * TEST_SHARE))])
    mask = np.array([key in tested for key in keys])
    return RowSplit(np.flatnonzero(~mask), np.flatnonzero(mask))


def key_hash(key: tuple[Any, ...], seed: int) -> bytes:
    return hashlib.blake2b(repr((seed, key)).encode(), digest_size=16).digest()


def distinct(entities: pa.Table) -> pa.Table:
    """Return each entity once, in order."""
    names = entities.column_names
    if not names:
        return entities
    return entities.group_by(names).aggregate([]).sort_by([(name, "ascending") for name in names])
