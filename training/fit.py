"""LightGBM on the native categorical path, and the contract completed with what the rows taught."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import lightgbm
import numpy as np

from potluck.contract.errors import DataError, UsageError
from potluck.contract.features import Column, FeatureContract, Literals
from potluck.scoring.bundle import Model
from potluck.scoring.encoders import Numbers
from potluck.scoring.functions import load_functions
from potluck.scoring.lightgbm_library import Matrix
from potluck.scoring.rows import RowBuilder
from potluck.scoring.transform import to_model_space
from potluck.stores.definitions import Definition
from training.dataset import Dataset

Parameters = Mapping[str, str | int | float | bool]
Progress = Callable[[int], None]

DEFAULTS: Parameters = {
    "num_iterations": 200,
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
}
"""Chosen by windows over time within the earlier four fifths of the seed use case; see docs/decisions.md."""

REPRODUCIBLE: Parameters = {"deterministic": True, "force_row_wise": True, "verbosity": -1}
ROWS_WORTH_THREADS = 50_000


@dataclass(frozen=True)
class Fitted:
    """A model and the contract that goes with it."""

    contract: FeatureContract
    functions_source: str
    model_text: bytes
    gains: dict[str, float]
    """Column -> total gain of its splits."""

    def open(self) -> Model:
        return Model(self.contract, self.functions_source, self.model_text)


def fit(definition: Definition, dataset: Dataset, parameters: Parameters, seed: int, progress: Progress) -> Fitted:
    """Fit one model.

    Args:
        parameters: all of LightGBM's that matter (see `DEFAULTS`).
        seed: of every random choice; the same data, parameters and seed give the same text.
        progress: called with 1 after each iteration.

    Raises:
        DataError: an on-demand function failed, or a column is not of its declared type.
        UsageError: LightGBM refuses the parameters.
    """
    contract, matrix = completed(definition, dataset)
    labels = encoded_labels(contract, dataset.labels)
    booster = train_booster(contract, matrix, labels, parameters, seed, progress)
    gains = dict(zip(booster.feature_name(), booster.feature_importance("gain").tolist(), strict=True))
    return Fitted(contract, definition.functions_source, booster.model_to_string().encode(), gains)


def completed(definition: Definition, dataset: Dataset) -> tuple[FeatureContract, Matrix]:
    """The contract with vocabularies, fills and classes of these rows, and their matrix."""
    bare = definition.contract
    functions = load_functions(definition.functions_source, bare)
    values = RowBuilder(bare, functions).columns(dataset.inputs.columns, dataset.inputs.times)
    columns = tuple(complete(column, values[column.name]) for column in bare.columns)
    contract = replace(bare, columns=columns, classes=classes_of(bare, dataset.labels))
    return contract, RowBuilder(contract, functions).encode(values).matrix


def complete(column: Column, values: Sequence[Any]) -> Column:
    """What these rows teach about a column: its categories, or its median where it was never missing."""
    if column.categorical:
        return replace(column, vocabulary=tuple(sorted({value for value in values if value is not None})))
    numbers = Numbers(column).numbers(values)
    return column if np.isnan(numbers).any() else replace(column, fill=float(np.median(numbers)))


def classes_of(contract: FeatureContract, labels: Sequence[Any]) -> tuple[Literals, ...]:
    return () if contract.objective == "regression" else tuple(sorted(set(labels)))


def encoded_labels(contract: FeatureContract, labels: Sequence[Any]) -> Matrix:
    """Labels as LightGBM takes them: in the model's space, or as class codes.

    Raises:
        DataError: a label is no class of the contract.
    """
    if contract.objective == "regression":
        return to_model_space(np.array(labels, dtype=np.float64), contract.transform)
    codes = {label: code for code, label in enumerate(contract.classes)}
    if not set(labels) <= set(codes):
        raise DataError(f"a label of {contract.label} is none of the classes {list(contract.classes)}")
    return np.array([codes[label] for label in labels], dtype=np.float64)


def train_booster(
    contract: FeatureContract,
    matrix: Matrix,
    labels: Matrix,
    parameters: Parameters,
    seed: int,
    progress: Progress,
) -> lightgbm.Booster:
    names = [column.name for column in contract.columns]
    categorical = [index for index, column in enumerate(contract.columns) if column.categorical]
    threads = {"num_threads": 1} if len(labels) < ROWS_WORTH_THREADS else {}
    data = lightgbm.Dataset(
        matrix, labels, feature_name=names, categorical_feature=categorical, params={"verbosity": -1}
    )
    try:
        return lightgbm.train(
            {**REPRODUCIBLE, **threads, **parameters, **objective_parameters(contract), "seed": seed},
            data,
            callbacks=[lambda _: progress(1)],
        )
    except lightgbm.basic.LightGBMError as error:
        raise UsageError(f"LightGBM refuses the data or the parameters {dict(parameters)}: {error}") from None


def objective_parameters(contract: FeatureContract) -> Parameters:
    classes = {"num_class": len(contract.classes)} if contract.objective == "multiclass" else {}
    return {"objective": contract.objective, **classes}
