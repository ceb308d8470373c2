"""What one column of a CSV file may hold, and how its cells become values."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NoReturn, TypeAlias

import pyarrow as pa

from potluck.contract.features import LARGEST_INTEGER

CsvType = Literal["int64", "float64", "string", "bool"]
Cell: TypeAlias = int | float | str | bool | None

MISSING = frozenset({"", "NA"})

ARROW_TYPES = {"int64": pa.int64(), "float64": pa.float64(), "string": pa.string(), "bool": pa.bool_()}
EXPECTED = {
    "int64": "an integer within ±2^53",
    "float64": "a finite number",
    "string": "text",
    "bool": "true or false",
}
INTEGER = re.compile(r"([+-]?[0-9]+)(\.0*)?")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True)
class CsvColumn:
    """What one column of a file holds."""

    dtype: CsvType
    required: bool = False
    """A missing value is an error."""
    optional: bool = False
    """A file may lack the whole column; then every value is missing."""
    categories: Mapping[str, str] = field(default_factory=dict)
    """Texts that stand for a category, say NA for "none": text -> category. They go before `missing`."""
    missing: frozenset[str] = MISSING
    """Texts that mean an unknown value."""
    least: float | None = None
    """Smallest number allowed."""
    most: float | None = None
    """Largest number allowed."""

    @property
    def arrow_type(self) -> pa.DataType:
        return ARROW_TYPES[self.dtype]


def parse_cell(text: str, column: CsvColumn) -> Cell:
    """A stripped cell's value; None is missing.

    Raises:
        ValueError: it is not what the column declares.
    """
    if text not in column.categories and text in column.missing:
        return refuse() if column.required else None
    value = PARSERS[column.dtype](column.categories.get(text, text))
    return value if within(value, column) else refuse()


def within(value: Cell, column: CsvColumn) -> bool:
    """Whether a number lies in the column's range; other values always do."""
    if not isinstance(value, int | float):
        return True
    least = -math.inf if column.least is None else column.least
    most = math.inf if column.most is None else column.most
    return least <= value <= most


def parse_integer(text: str) -> int:
    """An integer, also one that a float column wrote as 65.0."""
    found = INTEGER.fullmatch(text)
    value = int(found[1]) if found else refuse()
    return value if abs(value) <= LARGEST_INTEGER else refuse()


def parse_number(text: str) -> float:
    value = float(text) if NUMBER.fullmatch(text) else refuse()
    return value if math.isfinite(value) else refuse()


def parse_boolean(text: str) -> bool:
    return BOOLEANS[text.lower()] if text.lower() in BOOLEANS else refuse()


PARSERS: dict[CsvType, Callable[[str], Cell]] = {
    "int64": parse_integer,
    "float64": parse_number,
    "string": str,
    "bool": parse_boolean,
}


def refuse() -> NoReturn:
    raise ValueError


def expectation(column: CsvColumn) -> str:
    """What a column's cells hold, in words."""
    least = f" from {column.least:g}" if column.least is not None else ""
    most = f" up to {column.most:g}" if column.most is not None else ""
    return EXPECTED[column.dtype] + least + most + (", and not missing" if column.required else "")
