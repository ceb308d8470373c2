"""The scorer: all trees at once, as bit masks (after QuickScorer), equal to LightGBM's own sum in
every bit.

The leaves of each tree are numbered from the left. Where a value sends a node to the right, no leaf
on the node's left can be reached any more. So a value rules out a set of leaves in every tree, and
this set depends only on its rank among the column's thresholds (or on its category): it is one
precomputed row of a table, a word for each tree. The rows of all columns are combined with AND; the
lowest bit that is left in a tree's word is its leaf. Leaves are added in the trees' order, as
LightGBM adds them.

A value's row in the table is its cell (see `potluck.scoring.scorer`).
"""

import struct
from collections.abc import Sequence

import numpy as np

from potluck.scoring.forest_columns import Cells, Masks, UnknownTreesError, table_columns
from potluck.scoring.lightgbm_library import Matrix
from potluck.scoring.model_text import TextModel, Tree

MOST_LEAVES = 64
LARGEST_TABLE = 64_000_000
ROWS_AT_ONCE, ROWS_RANKED = 1024, 8192
FEW_ROWS, MANY_ROWS = 16, 256
PACKED = struct.Struct("=q")


class Forest:
    """The trees of one model, as a `Scorer`."""

    name = "forest"

    def __init__(self, model: TextModel) -> None:
        """Build the tables.

        Raises:
            UnknownTreesError: linear trees, more than 64 leaves, zero as missing, or tables too
                large.
        """
        refuse_unknown(model)
        self.width, self.outputs = model.width, model.outputs
        self.words = word_type(max(len(tree.leaves) for tree in model.trees))
        self.columns = table_columns(model)
        self.used = tuple(column.index for column in self.columns)
        self.by_index = {column.index: column for column in self.columns}
        self.table = self._table(len(model.trees))
        self.leaves, self.first_leaf = leaf_values(model.trees, self.words.itemsize * 8)

    def _table(self, trees: int) -> Masks:
        rows = sum(column.rows for column in self.columns)
        if rows * trees * self.words.itemsize > LARGEST_TABLE:
            raise UnknownTreesError(f"its tables would take more than {LARGEST_TABLE >> 20} MiB")
        table = np.full((rows, trees), np.iinfo(self.words).max, dtype=self.words)
        first = 0
        for column in self.columns:
            column.fill(table[first : first + column.rows])
            column.first = first
            first += column.rows
        return table

    def cell(self, column: int, value: float) -> bytes:
        used = self.by_index[column]
        return PACKED.pack(used.first + used.row(value))

    def raw_scores(self, matrix: Matrix) -> Matrix:
        out = np.empty((len(matrix), self.outputs))
        for first in range(0, len(matrix), ROWS_RANKED):
            ranked = matrix[first : first + ROWS_RANKED].T.copy()
            cells = [column.first + column.rows_of(ranked[column.index]) for column in self.columns]
            for start in range(0, ranked.shape[1], ROWS_AT_ONCE):
                end = min(start + ROWS_AT_ONCE, ranked.shape[1])
                block = [column[start:end] for column in cells]
                out[first + start : first + end] = self._summed(self._reached(block, end - start))
        return out

    def raw_scores_of_cells(self, cells: bytes, rows: int, _order: Sequence[int]) -> Matrix:
        numbers = np.frombuffer(cells, dtype=np.int64).reshape(rows, len(self.used))
        if rows > FEW_ROWS:
            blocks = (
                numbers[start : start + ROWS_AT_ONCE] for start in range(0, rows, ROWS_AT_ONCE)
            )
            return np.vstack(
                [self._summed(self._reached(list(block.T), len(block))) for block in blocks]
            )
        return self._summed(
            np.bitwise_and.reduce(self.table.take(numbers, axis=0, mode="clip"), axis=1)
        )

    def _reached(self, cells: Sequence[Cells], rows: int) -> Masks:
        """Column by column, so that what is combined stays in the cache."""
        reached = np.full((rows, self.table.shape[1]), np.iinfo(self.words).max, dtype=self.words)
        ruled_out = np.empty_like(reached)
        for column in cells:
            self.table.take(column, axis=0, out=ruled_out, mode="clip")
            np.bitwise_and(reached, ruled_out, out=reached)
        return reached

    def _summed(self, reached: Masks) -> Matrix:
        """The lowest leaf of every tree, added in the trees' order: a running sum rounds as
        LightGBM's loop does.

        Of many rows each tree's leaves are added at once, of few ones each row's.
        """
        up_to_lowest = np.bitwise_count(reached ^ (reached - self.words.type(1)))
        if len(reached) < MANY_ROWS:
            values = self.leaves.take(up_to_lowest + self.first_leaf, mode="clip")
            steps = values.reshape(len(values), self.table.shape[1] // self.outputs, self.outputs)
            total: Matrix = (
                np.add.accumulate(steps, axis=1)[:, -1] + 0.0
            )  # LightGBM starts at 0.0, so no sum is -0.0
            return total
        values = self.leaves.take(up_to_lowest.T.copy() + self.first_leaf[:, None], mode="clip")
        sums = np.zeros((self.outputs, len(reached)))
        for step in values.reshape(-1, *sums.shape):
            sums += step
        return sums.T


def refuse_unknown(model: TextModel) -> None:
    if model.linear:
        raise UnknownTreesError("its leaves hold linear models")
    if not model.trees or len(model.trees) % model.outputs:
        raise UnknownTreesError("it has no whole round of trees")
    largest = max(len(tree.leaves) for tree in model.trees)
    if largest > MOST_LEAVES:
        raise UnknownTreesError(
            f"a tree has {largest} leaves, the tables hold at most {MOST_LEAVES}"
        )


def word_type(leaves: int) -> np.dtype[np.unsignedinteger]:
    """The smallest word with a bit for each leaf."""
    return np.dtype(f"u{max(1, 1 << (leaves - 1).bit_length() >> 3)}")


def leaf_values(trees: Sequence[Tree], stride: int) -> tuple[Matrix, Cells]:
    """Every tree's leaves from the left, and where each tree's begin, less the one bit that is
    always counted."""
    values = np.zeros((len(trees), stride))
    for row, tree in zip(values, trees, strict=True):
        for leaf, value in enumerate(tree.leaves):
            row[tree.places[~leaf]] = value
    return values.ravel(), np.arange(len(trees), dtype=np.intp) * stride - 1
