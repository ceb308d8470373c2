"""The row builder: inputs by name -> the model's matrix. There is no other, so nothing can be
skewed against it."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from potluck.contract.features import FeatureContract
from potluck.contract.fields import Field
from potluck.scoring.encoders import encoder
from potluck.scoring.functions import BoundFunction, Columns, run_functions
from potluck.scoring.lightgbm_library import Matrix
from potluck.scoring.vectors import Vector


@dataclass(frozen=True)
class Rows:
    """The model's input, and what happened to it on the way."""

    matrix: Matrix
    """float64, shape (rows, columns), in the contract's order."""
    unseen: dict[str, list[int]] = field(default_factory=dict)
    """Column -> rows whose category training never saw; scored as missing."""
    imputed: dict[str, list[int]] = field(default_factory=dict)
    """Column -> rows where it was missing though training never saw it so; scored with training's
    median."""


class RowBuilder:
    """Bound once to a contract and its functions."""

    def __init__(self, contract: FeatureContract, functions: Sequence[BoundFunction]) -> None:
        self.contract = contract
        self.functions = functions
        self.encoders = [encoder(column) for column in contract.columns]

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
        known.update(run_functions(self.functions, known, len(times)))
        return {column.name: known[column.name] for column in self.contract.columns}

    def with_defaults(self, inputs: Columns, times: Sequence[datetime]) -> dict[str, Sequence[Any]]:
        """The inputs with missing values replaced by their defaults."""
        filled, moments = dict(inputs), set(times)
        for entry in self.contract.inputs:
            if entry.default is not None:
                filled[entry.name] = with_default(inputs[entry.name], entry, times, moments)
        return filled

    def encode(self, columns: Mapping[str, Sequence[Any]]) -> Rows:
        """Model columns by name -> the matrix."""
        height = len(next(iter(columns.values())))
        rows = Rows(np.empty((height, len(self.encoders)), dtype=np.float64))
        for index, column in enumerate(self.encoders):
            rows.matrix[:, index], marked = column.many(columns[column.name])
            if marked:
                getattr(rows, column.mark)[column.name] = marked
        return rows


def with_default(
    column: Sequence[Any], entry: Field, times: Sequence[datetime], moments: Set[datetime]
) -> Sequence[Any]:
    """With the default of each row's time where a value is missing; `moments` are the times, each
    once."""
    if isinstance(column, Vector) and len(moments) == 1:
        return column.filled(entry.default_at(times[0]))
    return [
        entry.default_at(at) if value is None else value
        for value, at in zip(column, times, strict=True)
    ]
