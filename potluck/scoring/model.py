"""A model that is open for scoring: inputs in, predictions out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from potluck.contract.features import FeatureContract
from potluck.scoring.encoders import Encoder
from potluck.scoring.functions import Columns, load_functions, run_functions
from potluck.scoring.lightgbm_library import Matrix
from potluck.scoring.rows import RowBuilder, Rows
from potluck.scoring.scorer import open_scorer
from potluck.scoring.transform import Predictions, predict


@dataclass(frozen=True)
class Scored:
    """A scored batch."""

    predictions: Predictions
    rows: Rows
    raw: Matrix


class Model:
    """The contract, the row builder and the scorer of one bundle.

    `score` takes whole columns. Whoever scores a few rows at a time (`potluck.scoring.plan`) takes
    the same steps one by one: `run_functions`, `encoder_of`, `cell_maker`, `predict_cells`.
    """

    def __init__(self, contract: FeatureContract, functions_source: str, model_text: bytes) -> None:
        self.contract = contract
        self.rows = RowBuilder(contract, load_functions(functions_source, contract))
        self.scorer = open_scorer(model_text, len(contract.columns))

    def score(self, inputs: Columns, times: Sequence[datetime]) -> Scored:
        """Score rows given as columns; see `RowBuilder.build` for the arguments and errors."""
        rows = self.rows.build(inputs, times)
        raw = self.scorer.raw_scores(rows.matrix)
        return Scored(self.predict(raw), rows, raw)

    def run_functions(self, inputs: Columns, rows: int) -> dict[str, Sequence[Any]]:
        """Run the on-demand functions; see `potluck.scoring.functions.run_functions`."""
        return run_functions(self.rows.functions, inputs, rows)

    def encoder_of(self, column: int) -> Encoder:
        """Return what turns a value of the contract's column into a number."""
        return self.rows.encoders[column]

    def cell_maker(self, column: int) -> Callable[[float], bytes]:
        """Return what packs a column's number for `predict_cells`."""
        if column not in self.scorer.used:
            return no_cell
        return partial(self.scorer.cell, column)

    def predict_cells(self, cells: bytes, rows: int, order: Sequence[int]) -> Predictions:
        """Score rows given as cells.

        Args:
            cells: of all columns for each row, one row behind the other.
            rows: how many there are.
            order: the contract's columns, as their cells come within a row.
        """
        return self.predict(self.scorer.raw_scores_of_cells(cells, rows, order))

    def predict(self, raw: Matrix) -> Predictions:
        """Turn raw scores, float64 of shape (rows, outputs), into predictions."""
        contract = self.contract
        return predict(raw, contract.objective, contract.transform, contract.classes)


def no_cell(_value: float) -> bytes:
    """Pack nothing: no tree asks for this column."""
    return b""
