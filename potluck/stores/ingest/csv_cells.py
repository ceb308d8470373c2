"""What one column of a CSV file may hold, and how its cells become values."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal, TypeAlias
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
        """Rewrite a number's text with a decimal point and nothing between the digits.

        Raises:
            ValueError: a point stands where the decimals begin with a comma.
        """
        if self.thousands and self.grouped.fullmatch(text):
            text = text.replace(self.thousands, "")
        if self.decimal == ".":
            return text
        if "." in text:
            raise ValueError
        return text.replace(self.decimal, ".")

    @property
    def grouped(self) -> re.Pattern[str]:
        """The form of a number whose digits stand in groups of three."""
        mark = re.escape(self.thousands)
        point = re.escape(self.decimal)
        return re.compile(rf"[+-]?[0-9]{{1,3}}({mark}[0-9]{{3}})+({point}[0-9]*)?")


PLAIN = Notation()


def parse_cell(text: str, column: CsvColumn, notation: Notation = PLAIN) -> Cell:
    """Return a stripped cell's value, or None where it is missing.

    Raises:
        ValueError: it is not what the column declares.
    """
    missing = notation.missing if column.missing is None else column.missing
    if text not in column.categories and text in missing:
        if column.required:
            raise ValueError
        return None
    text = column.categories.get(text, text)
    if column.dtype in ("int64", "float64"):
        text = notation.plain(text)
    value = PARSERS[column.dtype](text, column)
    if not in_range(value, column):
        raise ValueError
    return value


def in_range(value: Cell, column: CsvColumn) -> bool:
    """Tell whether a number lies in the column's range; other values always do."""
    if not isinstance(value, int | float):
        return True
    if column.least is not None and not column.least <= value:
        return False
    return column.most is None or value <= column.most


def parse_text(text: str, _: CsvColumn) -> str:
    return text


def parse_integer(text: str, _: CsvColumn) -> int:
    """Parse an integer, also one that a float column wrote as 65.0."""
    found = INTEGER.fullmatch(text)
    if found is None:
        raise ValueError
    value = int(found[1])
    if abs(value) > LARGEST_INTEGER:
        raise ValueError
    return value


def parse_number(text: str, _: CsvColumn) -> float:
    # float() alone would also take nan, inf and 1_000.
    if not NUMBER.fullmatch(text):
        raise ValueError
    value = float(text)
    if not math.isfinite(value):  # 1e999
        raise ValueError
    return value


def parse_boolean(text: str, _: CsvColumn) -> bool:
    value = BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError
    return value


def parse_day(text: str, column: CsvColumn) -> date:
    if column.format is not None:
        return parse_moment(text, column).date()
    # fromisoformat() alone would also take 20250131 and 2025-W05-5.
    if not ISO_DAY.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text)


def parse_moment(text: str, column: CsvColumn) -> datetime:
    """Parse a moment in UTC; that of a `date` column keeps its own clock, and so its day."""
    if column.format in EPOCHS:
        return parse_epoch(text, EPOCHS[column.format])
    moment = read_clock(text, column.format)
    if column.dtype == "date":
        return moment
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(column.timezone))
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the year 1 or 9999, beyond its end in UTC
        raise ValueError from None


def read_clock(text: str, form: str | None) -> datetime:
    """Parse date and time; they have a time zone only where the text says one."""
    if form is not None:
        return datetime.strptime(text, form)
    if not ISO_DAY.match(text):
        raise ValueError
    return datetime.fromisoformat(text)


def parse_epoch(text: str, per_second: int) -> datetime:
    if not NUMBER.fullmatch(text):
        raise ValueError
    seconds = float(text) / per_second
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError):
        raise ValueError from None


PARSERS: dict[CsvType, Callable[[str, CsvColumn], Cell]] = {
    "int64": parse_integer,
    "float64": parse_number,
    "string": parse_text,
    "bool": parse_boolean,
    "date": parse_day,
    "timestamp": parse_moment,
}


def expectation(column: CsvColumn, notation: Notation = PLAIN) -> str:
    """Tell in words what a column's cells hold."""
    what = EXPECTED[column.dtype]
    if column.format is not None:
        what = f"a {column.dtype} written as {column.format}"
    if column.dtype == "float64" and notation.decimal != ".":
        what += f" with a decimal {notation.decimal!r}"
    if column.least is not None:
        what += f" from {column.least:g}"
    if column.most is not None:
        what += f" up to {column.most:g}"
    if column.required:
        what += ", and not missing"
    return what
