"""A model that is open for scoring: inputs in, predictions out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from potluck.contract.features import FeatureContract
from potluck.scoring.functions import Columns, load_functions
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
    """The contract, the row builder and the scorer of one bundle."""

    def __init__(self, contract: FeatureContract, functions_source: str, model_text: bytes) -> None:
        self.contract = contract
        self.rows = RowBuilder(contract, load_functions(functions_source, contract))
        self.scorer = open_scorer(model_text, len(contract.columns))

    def score(self, inputs: Columns, times: Sequence[datetime]) -> Scored:
        """Score rows given as columns; see `RowBuilder.build` for the arguments and errors."""
        rows = self.rows.build(inputs, times)
        raw = self.scorer.raw_scores(rows.matrix)
        return Scored(self.predict(raw), rows, raw)

    def predict(self, raw: Matrix) -> Predictions:
        contract = self.contract
        return predict(raw, contract.objective, contract.transform, contract.classes)
