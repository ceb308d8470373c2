"""Find the ways of writing a day or a time that fit all cells of a column."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from potluck.stores.ingest.csv_cells import (
    PLAIN,
    Cell,
    CsvColumn,
    CsvType,
    Notation,
    parse_cell,
)

DAYS = (
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%B %d, %Y",
)
CLOCKS = (
    " %H:%M:%S",
    " %H:%M",
    "T%H:%M:%S",
    " %H:%M:%S.%f",
    " %I:%M:%S %p",
    " %I:%M %p",
)
MAYBE_A_DATE = re.compile(r"[0-9]{1,4}[-/. ].*[0-9]|[A-Za-z]{3,9} [0-9]{1,2}, [0-9]{4}.*")


def date_columns(texts: Sequence[str], timezone: str, wanted: str | None = None) -> list[CsvColumn]:
    """Find every declaration that fits all texts.

    Args:
        texts: different cells of a column, at least one, none of them missing.
        wanted: a format that the user named; tried before the others.

    Returns:
        More than one where day and month can't be told apart.
    """
    if wanted is not None:
        named = CsvColumn(dtype_of_format(wanted), format=wanted, timezone=timezone)
        if fits_all(named, texts):
            return [named]
    if not MAYBE_A_DATE.match(texts[0]):
        return []
    for iso in (CsvColumn("date"), CsvColumn("timestamp", timezone=timezone)):
        if fits_all(iso, texts):
            return [iso]
    fitting = [column for column in date_formats(timezone) if fits_all(column, texts)]
    return drop_same_readings(fitting, texts)


def drop_same_readings(columns: Sequence[CsvColumn], texts: Sequence[str]) -> list[CsvColumn]:
    """Drop the declarations that read the same as one before.

    `5 May` fits the format with the short and the one with the long name of the month.
    """
    readings: list[list[Cell]] = []
    different = []
    for column in columns:
        reading = [parse_cell(text, column) for text in texts]
        if reading not in readings:
            readings.append(reading)
            different.append(column)
    return different


def date_formats(timezone: str) -> Iterator[CsvColumn]:
    """Declare each way of writing a day, and a day with a time."""
    for day in DAYS:
        yield CsvColumn("date", format=day)
    for day, clock in product(DAYS, CLOCKS):
        yield CsvColumn("timestamp", format=day + clock, timezone=timezone)


def dtype_of_format(form: str) -> CsvType:
    """Return `timestamp` for a format that holds the time of the day, else `date`."""
    return "timestamp" if re.search(r"%[HISpfXcsz]|epoch", form) else "date"


def fits_all(column: CsvColumn, texts: Iterable[str], notation: Notation = PLAIN) -> bool:
    """Say whether all texts are what the column declares."""
    return misfit(column, texts, notation) is None


def misfit(column: CsvColumn, texts: Iterable[str], notation: Notation = PLAIN) -> str | None:
    """Find the first text that is not what the column declares."""
    strict = replace(column, missing=frozenset())
    for text in texts:
        try:
            parse_cell(text, strict, notation)
        except ValueError:
            return text
    return None
