"""Models made to order for `scorer`: columns of every kind, and as many trees as asked for."""

import sys
from collections.abc import Sequence

import lightgbm
import numpy as np

from potluck.scoring.forest import Forest
from potluck.scoring.forest_columns import UnknownTreesError
from potluck.scoring.lightgbm_library import Booster, Matrix
from potluck.scoring.model_text import TextModel, read_model
from potluck.scoring.scorer import Scorer

PARAMETERS = {
    "objective": "regression",
    "num_leaves": 32,
    "max_depth": 6,
    "learning_rate": 0.03,
}


def made_to_order(rows: int, columns: int, seed: int) -> tuple[Matrix, list[int]]:
    """A matrix, and which of its columns are categories."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, columns))
    categories = list(range(0, columns, 3))
    matrix[:, categories] = random.integers(0, 12, (rows, len(categories)))
    whole = matrix[:, 1::3]
    whole[:] = random.integers(0, 40, whole.shape)
    missing = random.random(matrix.shape) < 0.05
    matrix[missing] = np.nan
    return matrix, categories


def trained(matrix: Matrix, categories: Sequence[int], trees: int, seed: int) -> bytes:
    """The text of a model of these columns."""
    random = np.random.default_rng(seed + 1)
    weights = random.normal(size=matrix.shape[1])
    noise = random.normal(size=len(matrix))
    label = np.nan_to_num(matrix) @ weights + noise
    data = lightgbm.Dataset(
        matrix,
        label,
        categorical_feature=list(categories),
        params={"verbosity": -1},
    )
    parameters = {**PARAMETERS, "verbosity": -1, "num_threads": 1, "seed": seed}
    booster = lightgbm.train(parameters, data, num_boost_round=trees)
    text: str = booster.model_to_string()
    return text.encode()


def forest_if_it_can(text: bytes) -> Scorer:
    """Potluck's forest, or LightGBM's library for trees that the forest can't hold."""
    model: TextModel = read_model(text)
    try:
        return Forest(model)
    except UnknownTreesError as reason:
        print(f"left to LightGBM: {reason}", file=sys.stderr)
        return Booster(text)
