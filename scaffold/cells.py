"""One column's cells: the type that holds them all, and the texts that mean a missing value."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

from potluck.contract.errors import UsageError
from potluck.stores.ingest.csv_cells import CsvColumn, CsvType, Notation, parse_cell
from scaffold.dates import date_columns, fits_all, misfit
from scaffold.wishes import Wishes

MARKS = frozenset(
    {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "null", "NULL", "Null", "nan", "NaN", "NAN", "?", "-"}
)
"""Texts that mean a missing value in any column."""
MARKS_AMONG_VALUES = frozenset(
    {"None", "none", "unknown", "Unknown", "UNKNOWN", "--", ".", "na", "n.a.", "#VALUE!"}
)
"""Texts that mean one where all others are numbers or dates; among texts they may be a category."""
MARKS_AMONG_DATES = frozenset({"0000-00-00", "0000-00-00 00:00:00"})
ZEROS_FIRST = re.compile(r"[+-]?0[0-9]+")
FEW_OTHERS = 0.1  # of a text column's cells, among numbers or dates
SAMPLE = 200  # different cells, of which one must be a number or date to look at all
SHOWN = 3


@dataclass(frozen=True)
class ColumnTexts:
    """The texts of a column."""

    header: str
    column: pa.ChunkedArray
    """Of strings; a null is a missing value too."""
    marks: frozenset[str] = frozenset()
    """The user's own texts for a missing value."""

    @cached_property
    def encoded(self) -> pa.DictionaryArray:
        return self.column.combine_chunks().dictionary_encode()

    @cached_property
    def texts(self) -> list[str]:
        """The different texts."""
        found: list[str] = self.encoded.dictionary.to_pylist()
        return found

    @cached_property
    def counts(self) -> dict[str, int]:
        """Text -> how often it occurs."""
        found = self.encoded.value_counts().to_pylist()
        return {each["values"]: each["counts"] for each in found if each["values"] is not None}

    @cached_property
    def general_marks(self) -> frozenset[str]:
        """Those of its texts that mean a missing value whatever the column holds."""
        # In a column of + and -, the minus is a value.
        marks = MARKS - {"-"} if "+" in self.texts else MARKS
        return (marks | self.marks) & frozenset(self.texts)

    def known(self, *more_marks: frozenset[str]) -> list[str]:
        """Return the different texts that do not mean a missing value."""
        marks = self.general_marks.union(*more_marks)
        return [text for text in self.texts if text not in marks]

    def typed(self, column: CsvColumn, notation: Notation) -> pa.ChunkedArray:
        """Read every cell as it is declared."""
        values = [parse_cell(text, column, notation) for text in self.texts]
        return pa.chunked_array([pa.array(values, column.arrow_type).take(self.encoded.indices)])


@dataclass(frozen=True)
class Inferred:
    """What a column may be declared as."""

    declared: tuple[CsvColumn, ...]
    marks: frozenset[str]
    notes: tuple[str, ...] = ()


def infer(
    cells: ColumnTexts, notation: Notation, wishes: Wishes, *, numbers: bool = True
) -> Inferred:
    """Infer the type that holds all cells that are not missing; text if no other does.

    Args:
        numbers: whether texts may stand for numbers, as they do in CSV files.
    """
    text = Inferred((CsvColumn("string"),), cells.general_marks)
    known = cells.known()
    if not known:
        return text
    number = infer_number(cells, notation) if numbers else None
    found = number or infer_date(cells, wishes)
    if found is not None:
        return found
    if not numbers:
        return text
    if {each.lower() for each in known} <= {"true", "false"}:
        return Inferred((CsvColumn("bool"),), cells.general_marks)
    return replace(text, notes=note_almost_typed(cells, notation, wishes))


def infer_number(cells: ColumnTexts, notation: Notation) -> Inferred | None:
    """Infer the type of a column of numbers; None where some cell is no number."""
    known = cells.known(MARKS_AMONG_VALUES)
    marks = frozenset(cells.texts) - frozenset(known)
    if not known or not fits_all(CsvColumn("float64"), known, notation):
        return None
    if any(map(ZEROS_FIRST.fullmatch, known)):
        told = "kept as text: some numbers begin with a zero"
        return Inferred((CsvColumn("string"),), marks, (told,))
    if fits_all(CsvColumn("int64"), known, notation):
        with_decimals = any(notation.decimal in text for text in known)
        has_gaps = bool(marks) or cells.column.null_count > 0
        # pandas writes the integers of a column with gaps as 65.0. In a column without a gap, 65.0
        # was written by somebody who has numbers with decimals.
        dtype: CsvType = "float64" if with_decimals and not has_gaps else "int64"
        return Inferred((CsvColumn(dtype),), marks)
    if any(text.lstrip("+-").isdigit() and len(text) > 15 for text in known):
        return Inferred((CsvColumn("string"),), marks, ("kept as text: integers beyond ±2^53",))
    return Inferred((CsvColumn("float64"),), marks)


def infer_date(cells: ColumnTexts, wishes: Wishes) -> Inferred | None:
    """Infer how a column of days or times is written; None where no way fits all cells."""
    known = cells.known(MARKS_AMONG_VALUES, MARKS_AMONG_DATES)
    if not known:
        return None
    columns = date_columns(known, wishes.timezone, wishes.date_format)
    if not columns:
        return None
    return Inferred(tuple(columns), frozenset(cells.texts) - frozenset(known))


def infer_time(cells: ColumnTexts, wishes: Wishes) -> Inferred:
    """Infer how the column that the user called the time is written.

    In this column, years and counted seconds are dates too.

    Raises:
        UsageError: no way of writing dates fits all cells.
    """
    found = infer_date(cells, wishes)
    if found is not None:
        return found
    known = cells.known(MARKS_AMONG_VALUES, MARKS_AMONG_DATES)
    for form, pattern in COUNTED.items():
        dtype = "date" if form.startswith("%") else "timestamp"
        column = CsvColumn(dtype, format=form)  # type: ignore[arg-type]
        if known and all(map(pattern.fullmatch, known)) and fits_all(column, known):
            return Inferred((column,), frozenset(cells.texts) - frozenset(known))
    raise UsageError(no_dates(cells.header, known, wishes))


COUNTED = {
    "%Y": re.compile(r"[0-9]{4}"),
    "%Y%m%d": re.compile(r"(1[6-9]|2[0-2])[0-9]{6}"),
    "epoch": re.compile(r"[0-9]{9,10}(\.[0-9]*)?"),
    "epoch_ms": re.compile(r"[0-9]{12,13}(\.[0-9]*)?"),
}


def no_dates(header: str, known: Sequence[str], wishes: Wishes) -> str:
    wanted = wishes.date_format
    if wanted is None:
        shown = ", ".join(map(repr, known[:SHOWN]))
        found = (
            f"--time {header}: found no way of writing dates that fits all cells, such as {shown}"
        )
        return f"{found}; name it with --date-format, as in '%d.%m.%Y'"
    odd = misfit(CsvColumn("timestamp", format=wanted), known)
    found = f"--date-format: column {header} holds {odd!r}, which is not written as {wanted}"
    return f"{found}; if it means that the date is missing, name it with --missing"


def note_almost_typed(cells: ColumnTexts, notation: Notation, wishes: Wishes) -> tuple[str, ...]:
    """Note of a column of text that nearly all its cells are numbers or dates.

    The other cells may mean a missing value.
    """
    known = cells.known()
    total = sum(cells.counts[text] for text in known)
    tests: dict[str, Callable[[str], bool]] = {
        "number": lambda text: fits_all(CsvColumn("float64"), [text], notation),
        "date": lambda text: bool(date_columns([text], wishes.timezone, wishes.date_format)),
    }
    for what, test in tests.items():
        if not any(map(test, known[:SAMPLE])):
            continue
        odd = [text for text in known if not test(text)]
        others = sum(cells.counts[text] for text in odd)
        if others <= FEW_OTHERS * total:
            shown = ", ".join(map(repr, odd[:SHOWN]))
            told = f"kept as text: {others} of {total} cells are no {what} ({shown})"
            return (f"{told}; name them with --missing if that is what they mean",)
    return ()
