"""The seam behind which trees are added up, the same for online, nightly and replay; every scorer
gives the same bits.

A scorer takes a matrix of float64, or rows of cells. A cell is whatever the scorer wants to know of
one value of one column, packed: who meets the same value again may keep its cell and never look at
the value again.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from potluck.contract.errors import BundleError
from potluck.scoring.forest import Forest
from potluck.scoring.forest_columns import UnknownTreesError
from potluck.scoring.lightgbm_library import Booster, Matrix
from potluck.scoring.model_text import read_model

logger = logging.getLogger("potluck.scoring")


class Scorer(Protocol):
    """The trees of one model."""

    name: str
    width: int
    """Columns of the matrix."""
    outputs: int
    used: tuple[int, ...]
    """Columns that the trees ask for; the others have no cell."""

    def cell(self, column: int, value: float) -> bytes:
        """What the scorer wants to know of a value, NaN for a missing one; always as many bytes."""

    def raw_scores(self, matrix: Matrix) -> Matrix:
        """Sum of the trees' leaves.

        Args:
            matrix: float64, shape (rows, width); NaN is missing, a category is its code.

        Returns:
            float64, shape (rows, outputs).
        """

    def raw_scores_of_cells(self, cells: bytes, rows: int, order: Sequence[int]) -> Matrix:
        """The same from cells, row by row.

        Args:
            cells: of all used columns for each row.
            order: the columns, as their cells come.
        """


def open_scorer(text: bytes, width: int) -> Scorer:
    """The fastest scorer that knows the model's trees.

    Args:
        text: LightGBM's text model, of which the digest holds.
        width: columns of the contract.

    Raises:
        BundleError: the text is no model, or one of another width.
    """
    scorer = forest_or_lightgbm(text)
    if scorer.width != width:
        raise BundleError(f"the model takes {scorer.width} columns, the contract has {width}")
    return scorer


def forest_or_lightgbm(text: bytes) -> Scorer:
    try:
        return Forest(read_model(text))
    except UnknownTreesError as reason:
        logger.warning("LightGBM itself scores this model, which takes longer: %s", reason)
        return Booster(text)
