"""Fit a model, and complete its contract with what the rows teach."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from potluck.contract.errors import DataError
from potluck.contract.features import Column, FeatureContract
from potluck.contract.fields import Literals
from potluck.scoring.encoders import Numbers
from potluck.scoring.functions import load_functions
from potluck.scoring.lightgbm_library import Matrix
from potluck.scoring.model import Model
from potluck.scoring.rows import RowBuilder
from potluck.scoring.transform import to_model_space
from potluck.stores.definitions.feature_contract import Definition
from training.booster import EncodedTable, IterationProgress, train_booster
from training.dataset import Dataset
from training.parameters import Parameters


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


def fit(
    definition: Definition,
    dataset: Dataset,
    parameters: Parameters,
    seed: int,
    progress: IterationProgress,
) -> Fitted:
    """Fit one model.

    Args:
        parameters: beside LightGBM's own defaults.
        seed: of every random choice; the same data, parameters and seed give the same text.
        progress: called with 1 after each iteration.

    Raises:
        DataError: an on-demand function failed, or a column is not of its declared type.
        UsageError: LightGBM refuses the parameters.
    """
    contract, table = complete_definition(definition, dataset)
    return fit_completed(definition, contract, table, parameters, seed, progress)


def fit_completed(
    definition: Definition,
    contract: FeatureContract,
    table: EncodedTable,
    parameters: Parameters,
    seed: int,
    progress: IterationProgress,
) -> Fitted:
    """Fit one model, as `fit` does, on what `complete_definition` returned."""
    booster = train_booster(table, parameters, seed, progress)
    importance = booster.feature_importance("gain").tolist()
    gains = dict(zip(booster.feature_name(), importance, strict=True))
    return Fitted(contract, definition.functions_source, booster.model_to_string().encode(), gains)


def complete_definition(
    definition: Definition, dataset: Dataset
) -> tuple[FeatureContract, EncodedTable]:
    """Complete the contract with what these rows teach, and encode the rows.

    Returns:
        The contract with vocabularies, fills and classes; the rows as the trees take them.
    """
    bare = definition.contract
    functions = load_functions(definition.functions_source, bare)
    values = RowBuilder(bare, functions).columns(dataset.inputs.columns, dataset.inputs.times)
    columns = tuple(complete(column, values[column.name]) for column in bare.columns)
    contract = replace(bare, columns=columns, classes=classes_of(bare, dataset.labels))
    matrix = RowBuilder(contract, functions).encode(values).matrix
    return contract, table_of(contract, matrix, encoded_labels(contract, dataset.labels))


def table_of(contract: FeatureContract, matrix: Matrix, labels: Matrix) -> EncodedTable:
    columns = contract.columns
    categorical = [place for place, column in enumerate(columns) if column.categorical]
    return EncodedTable(
        objective=contract.objective,
        names=tuple(column.name for column in columns),
        categorical=tuple(categorical),
        matrix=matrix,
        labels=labels,
        classes=len(contract.classes),
    )


def complete(column: Column, values: Sequence[Any]) -> Column:
    """Complete a column with its categories, or with its median where it was never missing.

    Where a column was never missing in training, LightGBM reads a missing value as 0: there the
    median stands in for it.
    """
    if column.categorical:
        known = {value for value in values if value is not None}
        return replace(column, vocabulary=tuple(sorted(known)))
    numbers = Numbers(column).numbers(values)
    if np.isnan(numbers).any():
        return column
    return replace(column, fill=float(np.median(numbers)))


def classes_of(contract: FeatureContract, labels: Sequence[Any]) -> tuple[Literals, ...]:
    if contract.objective == "regression":
        return ()
    return tuple(sorted(set(labels)))


def encoded_labels(contract: FeatureContract, labels: Sequence[Any]) -> Matrix:
    """Encode labels for LightGBM: in the model's space, or as class codes.

    Raises:
        DataError: a label is no class of the contract.
    """
    if contract.objective == "regression":
        return to_model_space(np.array(labels, dtype=np.float64), contract.transform)
    codes = {label: code for code, label in enumerate(contract.classes)}
    if not set(labels) <= set(codes):
        raise DataError(
            f"a label of {contract.label} is none of the classes {list(contract.classes)}"
        )
    return np.array([codes[label] for label in labels], dtype=np.float64)
