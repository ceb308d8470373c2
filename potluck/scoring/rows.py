"""The row builder: inputs by name -> the model's matrix. There is no other, so nothing can be skewed against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from potluck.contract.errors import DataError
from potluck.contract.features import Column, FeatureContract, OnDemandFunction
from potluck.scoring.functions import ColumnFunction, Columns, run_function
from potluck.scoring.lightgbm_library import Matrix

PLAIN_NUMBERS = frozenset({int, float, bool, type(None)})
NUMBERS = (int, float, np.number, np.bool_, type(None))


@dataclass(frozen=True)
class Rows:
    """The model's input, and what happened to it on the way."""

    matrix: Matrix
    """float64, shape (rows, columns), in the contract's order."""
    unseen: dict[str, list[int]] = field(default_factory=dict)
    """Column -> rows whose category training never saw; scored as missing."""
    imputed: dict[str, list[int]] = field(default_factory=dict)
    """Column -> rows where it was missing though training never saw it so; scored with training's median."""


class RowBuilder:
    """Bound once to a contract and its functions."""

    def __init__(self, contract: FeatureContract, functions: list[tuple[OnDemandFunction, ColumnFunction]]) -> None:
        self.contract = contract
        self.functions = functions
        self.codes = {
            column.name: {label: code for code, label in enumerate(column.vocabulary)}
            for column in contract.columns
            if column.categorical
        }

    def build(self, inputs: Columns, times: Sequence[datetime]) -> Rows:
        """Defaults, on-demand functions, categories, fills.

        Args:
            inputs: a sequence for each input of the contract, one value a row; None is missing.
            times: each row's request time, for defaults that stand for a part of it.

        Raises:
            DataError: an on-demand function failed, or a value is not of its declared type.
        """
        return self.encode(self.columns(inputs, times))

    def columns(self, inputs: Columns, times: Sequence[datetime]) -> dict[str, Sequence[Any]]:
        """Every model column by name, not encoded yet."""
        known: dict[str, Sequence[Any]] = dict(self.with_defaults(inputs, times))
        outputs = [run_function(declared, code, known, len(times)) for declared, code in self.functions]
        for output in outputs:
            known.update(output)
        return {column.name: known[column.name] for column in self.contract.columns}

    def with_defaults(self, inputs: Columns, times: Sequence[datetime]) -> dict[str, Sequence[Any]]:
        """The inputs with missing values replaced by their defaults."""
        filled = dict(inputs)
        for entry in self.contract.inputs:
            if entry.default is not None:
                pairs = zip(inputs[entry.name], times, strict=True)
                filled[entry.name] = [entry.default_at(at) if value is None else value for value, at in pairs]
        return filled

    def encode(self, columns: Mapping[str, Sequence[Any]]) -> Rows:
        """Model columns by name -> the matrix."""
        height = len(next(iter(columns.values())))
        rows = Rows(np.empty((height, len(self.contract.columns)), dtype=np.float64))
        for index, column in enumerate(self.contract.columns):
            values = columns[column.name]
            encoded = self._codes(column, values, rows) if column.categorical else self._numbers(column, values, rows)
            rows.matrix[:, index] = encoded
        return rows

    def _codes(self, column: Column, values: Sequence[Any], rows: Rows) -> list[float]:
        codes = self.codes[column.name]
        try:
            encoded = [codes.get(value, np.nan) for value in values]
        except TypeError:
            raise DataError(f"{column.name} is a category, but holds something that can be none") from None
        unseen = [row for row, value in enumerate(values) if value is not None and value not in codes]
        if unseen:
            rows.unseen[column.name] = unseen
        return encoded

    def _numbers(self, column: Column, values: Sequence[Any], rows: Rows) -> Matrix:
        numbers = to_numbers(column, values)
        if column.fill is not None:
            missing = np.isnan(numbers)
            if missing.any():
                rows.imputed[column.name] = np.flatnonzero(missing).tolist()
                numbers = np.where(missing, column.fill, numbers)
        return numbers


def to_numbers(column: Column, values: Sequence[Any]) -> Matrix:
    """A numeric column as float64, None as NaN.

    Raises:
        DataError: a value is no number, or no whole number where the column is declared an integer.
    """
    try:
        numbers = np.array(values, dtype=np.float64) if all_numbers(values) else None
    except OverflowError:
        numbers = None
    if numbers is None:
        raise DataError(f"{column.name} is declared {column.dtype}, but holds something that is no number")
    if column.dtype in ("int64", "int32") and not (np.isnan(numbers) | (numbers == np.trunc(numbers))).all():
        raise DataError(f"{column.name} is declared {column.dtype}, but holds a number with a fraction")
    return numbers


def all_numbers(values: Sequence[Any]) -> bool:
    """Whether every value is a number or None: numpy would also take text that reads as one, and lists."""
    return PLAIN_NUMBERS.issuperset(map(type, values)) or all(isinstance(value, NUMBERS) for value in values)
