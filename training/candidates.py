"""Choose parameters for a data set: declared candidates are compared on held back learning rows.

No single set is right: what is best for a thousand sales loses to LightGBM's own on a bank's calls.
The rows on which the model is measured afterwards take no part in the choice.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.booster import EncodedTable, IterationProgress, error_curve
from training.parameters import Parameters
from training.split import RowSplit

MOST_ITERATIONS = 300
FEWEST_FOR_CLASSES = 150
WITHOUT_COMPARISON = 100
SAMPLE_ROWS = 50_000
"""Candidates are compared on at most so many rows, drawn by seed."""
TOLERANCE = 1e-3
"""Relative. The fewest iterations whose error is so near to the smallest error are taken."""


Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """Parameters beside LightGBM's own defaults; the number of iterations is found."""

    name: str
    parameters: Parameters
    at_least: int = 0
    """Rows from which on it is tried."""


RANDOM_SPLITS = Candidate(
    "random_splits",
    {
        "learning_rate": 0.05,
        "num_leaves": 16,
        "min_data_in_leaf": 20,
        "feature_fraction": 0.5,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 3.0,
        "cat_smooth": 2.0,
        "min_data_per_group": 10,
        "extra_trees": True,
    },
)
CAUTIOUS = Candidate(
    "cautious",
    {
        "learning_rate": 0.03,
        "num_leaves": 8,
        "min_data_in_leaf": 50,
        "feature_fraction": 0.6,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
        "cat_smooth": 30.0,
        "cat_l2": 30.0,
    },
)
MANY_ROWS = Candidate(
    "many_rows",
    {
        "learning_rate": 0.1,
        "num_leaves": 63,
        "min_data_in_leaf": 200,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "cat_smooth": 20.0,
    },
    at_least=50_000,
)
LIGHTGBM = Candidate("lightgbm", {"learning_rate": 0.1, "num_leaves": 31, "min_data_in_leaf": 20})
CANDIDATES = (RANDOM_SPLITS, CAUTIOUS, LIGHTGBM, MANY_ROWS)
"""`random_splits` suits small tables of many columns, `cautious` weak signals and rare classes;
`lightgbm` is what LightGBM does by default. Of two that do equally well, the first is taken."""


@dataclass(frozen=True)
class ParameterChoice:
    """The candidate that did best on held back rows, and by how much."""

    candidate: str
    parameters: Parameters
    """All of them, what `--param` gave included."""
    measure: str
    errors: dict[str, float]
    """Candidate -> its error on the held back rows; empty where there was nothing to compare on."""


def choose_parameters(
    table: EncodedTable,
    splits: Sequence[RowSplit],
    given: Parameters,
    seed: int,
    progress: IterationProgress,
) -> ParameterChoice:
    """Find the candidate with the smallest mean error over the splits, and its iterations.

    Args:
        given: parameters that the user gave; they override those of every candidate.
        progress: called with the number of iterations that were done, or are not needed.

    Raises:
        UsageError: LightGBM refuses the parameters.
    """
    measure = "rmse" if table.objective == "regression" else "log_loss"
    fixed = "num_iterations" in given
    usable = comparable_splits(table, splits)
    best, iterations, smallest = CANDIDATES[0], WITHOUT_COMPARISON, math.inf
    errors: dict[str, float] = {}
    for candidate in candidates_for(len(table)) if usable else ():
        parameters = {**candidate.parameters, **with_iteration_limit(table, given)}
        curve = mean_curve(table, usable, parameters, seed, progress, patient=fixed)
        end = len(curve) - 1 if fixed else best_end(curve)
        error = float(curve[end])
        errors[candidate.name] = error
        if error < smallest:
            best, iterations, smallest = candidate, end + 1, error
    parameters = {"num_iterations": iterations, **best.parameters, **given}
    return ParameterChoice(best.name, parameters, measure, errors)


def candidates_for(rows: int) -> list[Candidate]:
    """Return the candidates that are tried on a table of so many rows."""
    return [candidate for candidate in CANDIDATES if rows >= candidate.at_least]


def with_iteration_limit(table: EncodedTable, given: Parameters) -> Parameters:
    """Add the largest number of iterations, unless one is given."""
    most = MOST_ITERATIONS
    if table.classes:
        # Each iteration makes a tree for every class.
        most = max(FEWEST_FOR_CLASSES, MOST_ITERATIONS // max(1, table.classes - 1))
    return {"num_iterations": most, **given}


def count_iterations(table: EncodedTable, splits: Sequence[RowSplit], given: Parameters) -> int:
    """Return how many iterations `choose_parameters` reports in all."""
    fits = len(candidates_for(len(table))) * len(comparable_splits(table, splits))
    return fits * int(with_iteration_limit(table, given)["num_iterations"])


def comparable_splits(table: EncodedTable, splits: Sequence[RowSplit]) -> list[RowSplit]:
    """Return the splits that leave something to learn and something to measure."""
    return [each for each in splits if is_comparable(table, each)]


def is_comparable(table: EncodedTable, each: RowSplit) -> bool:
    if not len(each.test):
        return False
    return table.objective == "regression" or len(np.unique(table.labels[each.learn])) > 1


def mean_curve(
    table: EncodedTable,
    splits: Sequence[RowSplit],
    parameters: Parameters,
    seed: int,
    progress: IterationProgress,
    *,
    patient: bool,
) -> Curve:
    """Measure the mean error after each iteration, each split weighted by its rows.

    A curve that ended early goes on with its last error.
    """
    most = int(parameters["num_iterations"])
    curves = []
    for each in splits:
        learn, test = table.take(each.learn), table.take(each.test)
        curve = error_curve(learn, test, parameters, seed, progress, patient=patient)
        progress(most - len(curve))
        curves.append(np.pad(curve, (0, most - len(curve)), mode="edge"))
    weights = [len(each.test) for each in splits]
    return np.average(curves, axis=0, weights=weights)


def best_end(curve: Curve) -> int:
    """Find the last iteration to keep, by number from 0."""
    good = curve <= curve.min() * (1 + TOLERANCE)
    return int(np.argmax(good))
