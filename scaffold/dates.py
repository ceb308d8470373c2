"""Which ways of writing a day or a time fit all cells of a column."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from potluck.stores.ingest.csv_cells import Cell, CsvColumn, CsvType, parse_cell

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
    """Every declaration that fits all texts; two of them mean that day and month can't be told apart.

    Args:
        texts: different cells of a column, at least one, none of them missing.
        wanted: a format that somebody named; tried before the others.
    """
    if wanted is not None:
        named = CsvColumn(dtype_of_format(wanted), format=wanted, timezone=timezone)
        if fits(named, texts):
            return [named]
    if not MAYBE_A_DATE.match(texts[0]):
        return []
    for iso in (CsvColumn("date"), CsvColumn("timestamp", timezone=timezone)):
        if fits(iso, texts):
            return [iso]
    return drop_same_readings(
        [column for column in date_formats(timezone) if fits(column, texts)], texts
    )


def drop_same_readings(columns: Sequence[CsvColumn], texts: Sequence[str]) -> list[CsvColumn]:
    """Those that read something else than the ones before: `5 May` fits the month's short and long name alike."""
    readings: list[list[Cell]] = []
    different = []
    for column in columns:
        reading = [parse_cell(text, column) for text in texts]
        if reading not in readings:
            readings.append(reading)
            different.append(column)
    return different


def date_formats(timezone: str) -> Iterator[CsvColumn]:
    for day in DAYS:
        yield CsvColumn("date", format=day)
    for day, clock in product(DAYS, CLOCKS):
        yield CsvColumn("timestamp", format=day + clock, timezone=timezone)


def dtype_of_format(form: str) -> CsvType:
    """Whether a format tells the time of the day."""
    return "timestamp" if re.search(r"%[HISpfXcsz]|epoch", form) else "date"


def fits(column: CsvColumn, texts: Sequence[str]) -> bool:
    return misfit(column, texts) is None


def misfit(column: CsvColumn, texts: Sequence[str]) -> str | None:
    """The first text that is not what the column declares."""
    strict = replace(column, missing=frozenset())
    for text in texts:
        try:
            parse_cell(text, strict)
        except ValueError:
            return text
    return None
