"""Proof that a scorer adds up a model's trees as LightGBM does: rows made to ask every split,
compared bit by bit."""

import numpy as np

from potluck.contract.errors import BundleError
from potluck.scoring.lightgbm_library import Booster, Matrix
from potluck.scoring.model_text import TextModel, read_model
from potluck.scoring.scorer import Scorer

PROBES = 2000
ODD_VALUES = (np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 0.5, 1e-36, 5e-324, 1e300)


def check_scorer(scorer: Scorer, text: bytes, rows: int = PROBES, seed: int = 0) -> None:
    """Compare a scorer with LightGBM itself.

    Args:
        text: the model that the scorer was opened with.
        rows: how many are compared.

    Raises:
        BundleError: a row has another score.
    """
    matrix = probe_rows(read_model(text), rows, seed)
    with Booster(text) as booster:
        expected = booster.raw_scores(matrix)
    differs = (scorer.raw_scores(matrix).view(np.int64) != expected.view(np.int64)).any(axis=1)
    if differs.any():
        raise BundleError(
            f"the scorer {scorer.name} differs from LightGBM on {differs.sum()} of {rows} rows; "
            "please report this model to Potluck's authors"
        )


def probe_rows(model: TextModel, rows: int, seed: int) -> Matrix:
    """Rows whose values lie on, just beside and between a column's thresholds, or are odd.

    Returns:
        float64, shape (rows, columns).
    """
    random = np.random.default_rng(seed)
    matrix = np.empty((rows, model.width))
    for column, values in enumerate(telling_values(model)):
        matrix[:, column] = random.choice(values, rows)
    return matrix


def telling_values(model: TextModel) -> list[Matrix]:
    """For each column the values at which a tree may change its mind."""
    asked: list[list[float]] = [[] for _ in range(model.width)]
    for tree in model.trees:
        for node, column in enumerate(tree.features):
            asked[column] += (
                tree.categories(node) if tree.is_categorical(node) else [tree.thresholds[node]]
            )
    return [beside(np.unique(np.array([0.0, *values]))) for values in asked]


def beside(values: Matrix) -> Matrix:
    around = (
        values,
        np.nextafter(values, np.inf),
        np.nextafter(values, -np.inf),
        values[1:] / 2 + values[:-1] / 2,
    )
    return np.concatenate([*around, values + 1.0, ODD_VALUES])
