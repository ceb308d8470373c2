"""Feature values -> the native Booster's matrix, with the categories and fills of the bundle's
contract."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.peers.place import Contract


class Encoder:
    """Columns by name in, a matrix in the model's order out."""

    def __init__(self, contract: Contract) -> None:
        self.columns: list[tuple[str, dict[Any, int] | None, float]] = []
        for column in contract["columns"]:
            table = codes(column) if column["categorical"] else None
            self.columns.append((column["name"], table, fill_value(column)))

    def matrix(self, values: Mapping[str, Sequence[Any]]) -> npt.NDArray[np.float64]:
        """float64, shape (rows, columns). Dense, as a peer runs it once per request."""
        columns = [encode_column(values[name], table, gap) for name, table, gap in self.columns]
        return np.array(columns, np.float64).T


def codes(column: Mapping[str, Any]) -> dict[Any, int]:
    """Category -> its code: its place in the vocabulary."""
    labels = column["vocabulary"]
    return {label: code for code, label in enumerate(labels)}


def fill_value(column: Mapping[str, Any]) -> float:
    """What stands for a missing value."""
    value = column["fill"]
    return math.nan if value is None else float(value)


def encode_column(
    values: Sequence[Any], table: Mapping[Any, int] | None, gap: float
) -> list[float]:
    """A column's numbers, with `gap` where one is missing or not in the vocabulary."""
    if table is None:
        return [gap if value is None else value for value in values]  # once per request
    return [table.get(value, gap) for value in values]
