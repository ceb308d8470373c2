"""Feature values -> the native Booster's matrix, with the categories and fills of the bundle's
contract."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


class Encoder:
    """Columns by name in, a matrix in the model's order out."""

    def __init__(self, contract: Mapping[str, Any]) -> None:
        self.columns: list[tuple[str, dict[Any, int] | None, float]] = []
        for column in contract["columns"]:
            table = codes(column) if column["categorical"] else None
            self.columns.append((column["name"], table, fill_value(column)))

    def matrix(self, values: Mapping[str, Sequence[Any]]) -> npt.NDArray[np.float64]:
        """float64, shape (rows, columns)."""
        encoded = []
        for name, table, gap in self.columns:
            encoded.append(encode_column(values[name], table, gap))
        return np.array(encoded, np.float64).T


def codes(column: Mapping[str, Any]) -> dict[Any, int]:
    return {label: code for code, label in enumerate(column["vocabulary"])}


def fill_value(column: Mapping[str, Any]) -> float:
    return float("nan") if column["fill"] is None else float(column["fill"])


def encode_column(
    values: Sequence[Any], table: Mapping[Any, int] | None, gap: float
) -> list[float]:
    if table is None:
        return [gap if value is None else value for value in values]
    return [table.get(value, gap) for value in values]
