"""LightGBM on a finished matrix: the same table, parameters and seed always give the same trees."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from potluck.contract.errors import UsageError
from potluck.contract.features import Objective
from potluck.scoring.lightgbm_library import Matrix
from training.parameters import Parameters

IterationProgress = Callable[[int], None]
Places = npt.NDArray[np.int64]
"""Rows by number."""

REPRODUCIBLE: Parameters = {"deterministic": True, "force_row_wise": True, "verbosity": -1}
ROWS_WORTH_THREADS = 50_000
PATIENCE = 50
"""After so many iterations without a smaller error on held back rows, a candidate is given up."""

METRICS = {"regression": "rmse", "binary": "binary_logloss", "multiclass": "multi_logloss"}


class DebugLogger:
    """Takes LightGBM's messages to the debug log: it prints its errors before it raises them."""

    def info(self, text: str) -> None:
        logging.getLogger("potluck.training").debug(text)

    warning = info


lightgbm.register_logger(DebugLogger())


@dataclass(frozen=True)
class EncodedTable:
    """Labelled rows as the trees take them."""

    objective: Objective
    names: tuple[str, ...]
    categorical: tuple[int, ...]
    """Columns that hold codes."""
    matrix: Matrix
    labels: Matrix
    """In the model's space, or class codes."""
    classes: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Places) -> "EncodedTable":
        return replace(self, matrix=self.matrix[rows], labels=self.labels[rows])


def train_booster(
    table: EncodedTable, parameters: Parameters, seed: int, progress: IterationProgress
) -> lightgbm.Booster:
    """Train trees on all rows.

    Args:
        progress: called with 1 after each iteration.

    Raises:
        UsageError: LightGBM refuses the parameters.
    """
    return run_lightgbm(table, parameters, seed, [lambda _: progress(1)])


def error_curve(
    table: EncodedTable,
    held_back: EncodedTable,
    parameters: Parameters,
    seed: int,
    progress: IterationProgress,
    *,
    patient: bool,
) -> list[float]:
    """Measure the error on held back rows after each iteration.

    Args:
        patient: go on to the last iteration, even if the error does not fall any more.

    Returns:
        Log loss, or RMSE in the model's space; one value an iteration.

    Raises:
        UsageError: LightGBM refuses the parameters.
    """
    errors: dict[str, Any] = {}
    metric = METRICS[table.objective]
    callbacks: list[Callable[..., Any]] = [
        lambda _: progress(1),
        lightgbm.record_evaluation(errors),
    ]
    if not patient:
        callbacks.append(lightgbm.early_stopping(PATIENCE, verbose=False))
    run_lightgbm(table, {**parameters, "metric": metric}, seed, callbacks, held_back)
    return [float(error) for error in errors["held back"][metric]]


def run_lightgbm(
    table: EncodedTable,
    parameters: Parameters,
    seed: int,
    callbacks: Sequence[Callable[..., Any]],
    held_back: EncodedTable | None = None,
) -> lightgbm.Booster:
    data = lightgbm_data(table)
    watched = [] if held_back is None else [lightgbm_data(held_back, data)]
    try:
        return lightgbm.train(
            all_parameters(table, parameters, seed),
            data,
            valid_sets=watched,
            valid_names=["held back"] * len(watched),
            callbacks=[*callbacks],
        )
    except lightgbm.basic.LightGBMError as error:
        raise UsageError(f"LightGBM refuses the parameters {dict(parameters)}: {error}") from None


def all_parameters(table: EncodedTable, parameters: Parameters, seed: int) -> dict[str, Any]:
    """Return everything that LightGBM is called with."""
    found: dict[str, Any] = dict(REPRODUCIBLE)
    if len(table) < ROWS_WORTH_THREADS:
        found["num_threads"] = 1
    found.update(parameters)
    found["objective"] = table.objective
    if table.objective == "multiclass":
        found["num_class"] = table.classes
    found["seed"] = seed
    return found


def lightgbm_data(table: EncodedTable, like: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        table.matrix,
        table.labels,
        reference=like,
        feature_name=list(table.names),
        categorical_feature=list(table.categorical),
        params={"verbosity": -1},
    )
