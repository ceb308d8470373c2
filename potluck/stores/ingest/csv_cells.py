"""What one column of a CSV file may hold, and how its cells become values."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal, NoReturn, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa

from potluck.contract.errors import UsageError
from potluck.contract.fields import LARGEST_INTEGER

CsvType = Literal["int64", "float64", "string", "bool", "date", "timestamp"]
Cell: TypeAlias = int | float | str | bool | date | datetime | None

MISSING = frozenset({"", "NA"})
EPOCHS = {"epoch": 1, "epoch_ms": 1000}
"""Formats that are no text: seconds or milliseconds since 1970, UTC."""

ARROW_TYPES = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
EXPECTED = {
    "int64": "an integer within ±2^53",
    "float64": "a finite number",
    "string": "text",
    "bool": "true or false",
    "date": "a day such as 2025-01-31",
    "timestamp": "a time such as 2025-01-31T18:30:00",
}
INTEGER = re.compile(r"([+-]?[0-9]+)(\.0*)?")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
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
    """Texts that stand for a category, say NA for "none": text -> category. They go before
    `missing`."""
    missing: frozenset[str] | None = None
    """Texts that mean an unknown value; by default those of the file."""
    least: float | None = None
    """Smallest number allowed."""
    most: float | None = None
    """Largest number allowed."""
    format: str | None = None
    """Of a date or timestamp, as strptime takes it, or one of `EPOCHS`; by default ISO 8601."""
    timezone: str = "UTC"
    """Where the clocks stood, for a timestamp that does not say it."""

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(
                f"expected a time zone such as Europe/Vienna, got {self.timezone!r}"
            ) from None

    @property
    def arrow_type(self) -> pa.DataType:
        return ARROW_TYPES[self.dtype]


@dataclass(frozen=True)
class Notation:
    """How a file writes numbers, and what is not known."""

    decimal: str = "."
    thousands: str = ""
    """What stands between groups of three digits, if anything does."""
    missing: frozenset[str] = MISSING

    def plain(self, text: str) -> str:
        """A number's text with a decimal point and nothing between the digits.

        Raises:
            ValueError: a point stands where the decimals begin with a comma.
        """
        if self.thousands and self.grouped.fullmatch(text):
            text = text.replace(self.thousands, "")
        if self.decimal == ".":
            return text
        return refuse_cell() if "." in text else text.replace(self.decimal, ".")

    @property
    def grouped(self) -> re.Pattern[str]:
        mark, point = re.escape(self.thousands), re.escape(self.decimal)
        return re.compile(rf"[+-]?[0-9]{{1,3}}({mark}[0-9]{{3}})+({point}[0-9]*)?")


PLAIN = Notation()


def parse_cell(text: str, column: CsvColumn, notation: Notation = PLAIN) -> Cell:
    """A stripped cell's value; None is missing.

    Raises:
        ValueError: it is not what the column declares.
    """
    missing = notation.missing if column.missing is None else column.missing
    if text not in column.categories and text in missing:
        return refuse_cell() if column.required else None
    text = column.categories.get(text, text)
    if column.dtype in ("int64", "float64"):
        text = notation.plain(text)
    value = PARSERS[column.dtype](text, column)
    return value if in_range(value, column) else refuse_cell()


def in_range(value: Cell, column: CsvColumn) -> bool:
    """Whether a number lies in the column's range; other values always do."""
    if not isinstance(value, int | float):
        return True
    least = -math.inf if column.least is None else column.least
    most = math.inf if column.most is None else column.most
    return least <= value <= most


def parse_text(text: str, _: CsvColumn) -> str:
    return text


def parse_integer(text: str, _: CsvColumn) -> int:
    """An integer, also one that a float column wrote as 65.0."""
    found = INTEGER.fullmatch(text)
    value = int(found[1]) if found else refuse_cell()
    return value if abs(value) <= LARGEST_INTEGER else refuse_cell()


def parse_number(text: str, _: CsvColumn) -> float:
    value = float(text) if NUMBER.fullmatch(text) else refuse_cell()
    return value if math.isfinite(value) else refuse_cell()


def parse_boolean(text: str, _: CsvColumn) -> bool:
    return BOOLEANS[text.lower()] if text.lower() in BOOLEANS else refuse_cell()


def parse_day(text: str, column: CsvColumn) -> date:
    if column.format is not None:
        return parse_moment(text, column).date()
    return date.fromisoformat(text) if ISO_DAY.fullmatch(text) else refuse_cell()


def parse_moment(text: str, column: CsvColumn) -> datetime:
    """A moment in UTC."""
    if column.format in EPOCHS:
        return parse_epoch(text, EPOCHS[column.format])
    if column.format is not None:
        moment = datetime.strptime(text, column.format)
    else:
        moment = datetime.fromisoformat(text) if ISO_DAY.match(text) else refuse_cell()
    if column.dtype == "date":
        return moment
    try:
        local = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(column.timezone))
        return local.astimezone(UTC)
    except OverflowError:  # the year 1 or 9999, beyond its end in UTC
        refuse_cell()


def parse_epoch(text: str, per_second: int) -> datetime:
    seconds = float(text) / per_second if NUMBER.fullmatch(text) else refuse_cell()
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError):
        refuse_cell()


PARSERS: dict[CsvType, Callable[[str, CsvColumn], Cell]] = {
    "int64": parse_integer,
    "float64": parse_number,
    "string": parse_text,
    "bool": parse_boolean,
    "date": parse_day,
    "timestamp": parse_moment,
}


def refuse_cell() -> NoReturn:
    raise ValueError


def expectation(column: CsvColumn, notation: Notation = PLAIN) -> str:
    """What a column's cells hold, in words."""
    what = EXPECTED[column.dtype]
    if column.format is not None:
        what = f"a {column.dtype} written as {column.format}"
    if column.dtype == "float64" and notation.decimal != ".":
        what = f"{what} with a decimal {notation.decimal!r}"
    least = f" from {column.least:g}" if column.least is not None else ""
    most = f" up to {column.most:g}" if column.most is not None else ""
    return what + least + most + (", and not missing" if column.required else "")
