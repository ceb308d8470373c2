"""A model and the contract that goes with it, completed with what the rows taught."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from potluck.contract.errors import DataError
from potluck.contract.features import Column, FeatureContract, Literals
from potluck.scoring.bundle import Model
from potluck.scoring.encoders import Numbers
from potluck.scoring.functions import load_functions
from potluck.scoring.lightgbm_library import Matrix
from potluck.scoring.rows import RowBuilder
from potluck.scoring.transform import to_model_space
from potluck.stores.definitions.contracts import Definition
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
    return fit_completed(
        definition, *complete_definition(definition, dataset), parameters, seed, progress
    )


def fit_completed(
    definition: Definition,
    contract: FeatureContract,
    table: EncodedTable,
    parameters: Parameters,
    seed: int,
    progress: IterationProgress,
) -> Fitted:
    """`fit` on what `complete_definition` answered."""
    booster = train_booster(table, parameters, seed, progress)
    gains = dict(
        zip(booster.feature_name(), booster.feature_importance("gain").tolist(), strict=True)
    )
    return Fitted(contract, definition.functions_source, booster.model_to_string().encode(), gains)


def complete_definition(
    definition: Definition, dataset: Dataset
) -> tuple[FeatureContract, EncodedTable]:
    """The contract with vocabularies, fills and classes of these rows, and the rows as the trees take them."""
    bare = definition.contract
    functions = load_functions(definition.functions_source, bare)
    values = RowBuilder(bare, functions).columns(dataset.inputs.columns, dataset.inputs.times)
    columns = tuple(complete(column, values[column.name]) for column in bare.columns)
    contract = replace(bare, columns=columns, classes=classes_of(bare, dataset.labels))
    matrix = RowBuilder(contract, functions).encode(values).matrix
    return contract, table_of(contract, matrix, encoded_labels(contract, dataset.labels))


def table_of(contract: FeatureContract, matrix: Matrix, labels: Matrix) -> EncodedTable:
    return EncodedTable(
        objective=contract.objective,
        names=tuple(column.name for column in contract.columns),
        categorical=tuple(
            place for place, column in enumerate(contract.columns) if column.categorical
        ),
        matrix=matrix,
        labels=labels,
        classes=len(contract.classes),
    )


def complete(column: Column, values: Sequence[Any]) -> Column:
    """What these rows teach about a column: its categories, or its median where it was never missing."""
    if column.categorical:
        return replace(
            column, vocabulary=tuple(sorted({value for value in values if value is not None}))
        )
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
        raise DataError(
            f"a label of {contract.label} is none of the classes {list(contract.classes)}"
        )
    return np.array([codes[label] for label in labels], dtype=np.float64)
