"""A forest's columns: which row of its table stands for a value, and what the row rules out.

See `potluck.scoring.forest` for the table.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from potluck.scoring.lightgbm_library import Matrix
from potluck.scoring.model_text import NAN_IS_MISSING, ZERO_IS_MISSING, TextModel, Tree

ZERO = float(np.float32(1e-35))
"""LightGBM takes a value up to this far from 0 as 0."""

Cells = npt.NDArray[np.intp]
Masks = npt.NDArray[np.unsignedinteger]
"""Words of the table: a bit for each leaf of a tree."""


class UnknownTreesError(Exception):
    """The trees are of a kind that the tables can't hold; LightGBM scores them."""


class Split(NamedTuple):
    """An inner node, seen from its column."""

    tree: int
    threshold: float
    categories: list[int] | None
    missing_goes_left: bool
    rules_out: int
    """Mask of the leaves on its left."""


class NumberColumn:
    """A numeric column: a value's row is its rank among the thresholds, the last row is for missing
    ones."""

    def __init__(self, index: int, splits: Sequence[Split]) -> None:
        self.index, self.splits = index, splits
        self.thresholds = sorted({split.threshold for split in splits})
        self.ordered = np.array(self.thresholds)
        self.rows = len(self.thresholds) + 2
        self.first = 0

    def fill(self, table: Masks) -> None:
        """Rule out, from each threshold's rank on, what its splits rule out."""
        trees = np.array([split.tree for split in self.splits])
        keeps = ~np.array([split.rules_out for split in self.splits], dtype=table.dtype)
        ranks = np.searchsorted(self.ordered, [split.threshold for split in self.splits])
        np.bitwise_and.at(table, (ranks + 1, trees), keeps)
        right = np.array([not split.missing_goes_left for split in self.splits])
        np.bitwise_and.at(table[-1], trees[right], keeps[right])
        np.bitwise_and.accumulate(table[:-1], axis=0, out=table[:-1])

    def row(self, value: float) -> int:
        if value != value:
            return self.rows - 1
        return bisect_left(self.thresholds, 0.0 if -ZERO <= value <= ZERO else value)

    def rows_of(self, values: Matrix) -> Cells:
        """`row` of each value."""
        near_zero_as_zero = np.where(np.abs(values) <= ZERO, 0.0, values)
        ranks = np.searchsorted(self.ordered, near_zero_as_zero)
        return np.where(np.isnan(values), self.rows - 1, ranks)


class CategoryColumn:
    """A categorical column: a value's row is its code, the last row is for all that no split
    names."""

    def __init__(self, index: int, splits: Sequence[Split]) -> None:
        self.index, self.splits = index, splits
        self.rows = max(code for split in splits for code in split.categories or [0]) + 2
        self.first = 0

    def fill(self, table: Masks) -> None:
        words = table.dtype.type
        for split in self.splits:
            others = np.ones(self.rows, dtype=bool)
            others[split.categories] = False
            table[others, split.tree] &= ~words(split.rules_out)

    def row(self, value: float) -> int:
        """LightGBM cuts a fraction off, and sends what is below 0 or no number to the right."""
        return int(value) if -1.0 < value < self.rows - 1 else self.rows - 1

    def rows_of(self, values: Matrix) -> Cells:
        """`row` of each value."""
        known = (values > -1.0) & (values < self.rows - 1)
        return np.where(known, values, self.rows - 1).astype(np.intp)


def table_columns(model: TextModel) -> list[NumberColumn | CategoryColumn]:
    """The columns that a tree asks for, with their splits."""
    splits: defaultdict[int, list[Split]] = defaultdict(list)
    for number, tree in enumerate(model.trees):
        for node, column in enumerate(tree.features):
            splits[column].append(split_of(tree, number, node))
    return [column_of(index, splits[index]) for index in sorted(splits)]


def column_of(index: int, splits: Sequence[Split]) -> NumberColumn | CategoryColumn:
    categorical = {split.categories is not None for split in splits}
    if len(categorical) > 1:
        raise UnknownTreesError(f"column {index} is split both as a number and as a category")
    return CategoryColumn(index, splits) if categorical == {True} else NumberColumn(index, splits)


def split_of(tree: Tree, number: int, node: int) -> Split:
    rules_out = ((1 << tree.leaf_count(tree.left[node])) - 1) << tree.places[node]
    if tree.is_categorical(node):
        return Split(
            number,
            threshold=0.0,
            categories=tree.categories(node),
            missing_goes_left=False,
            rules_out=rules_out,
        )
    return Split(
        number,
        threshold=tree.thresholds[node],
        categories=None,
        missing_goes_left=missing_goes_left(tree, node),
        rules_out=rules_out,
    )


def missing_goes_left(tree: Tree, node: int) -> bool:
    """Whether NaN goes to the left; where training saw none, LightGBM reads it as 0."""
    kind = tree.missing_kind(node)
    if kind == ZERO_IS_MISSING:
        raise UnknownTreesError("a split takes zero as missing")
    return (
        tree.goes_left_if_missing(node) if kind == NAN_IS_MISSING else tree.thresholds[node] >= 0.0
    )
