"""One column's cells: which type holds them all, and which of them mean a missing value."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa

from potluck.contract.errors import UsageError
from potluck.stores.ingest.csv_cells import CsvColumn, Notation, parse_cell
from scaffold.dates import date_columns, fits, misfit
from scaffold.wishes import Wishes

MARKS = frozenset(
    {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "null", "NULL", "Null", "nan", "NaN", "NAN", "?", "-"}
)
"""Mean a missing value in any column."""
MARKS_AMONG_VALUES = frozenset(
    {"None", "none", "unknown", "Unknown", "UNKNOWN", "--", ".", "na", "n.a.", "#VALUE!"}
)
"""Mean one where all others are numbers or dates; in text they may be a category."""
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
    """Somebody's own texts for a missing value."""

    @cached_property
    def encoded(self) -> pa.DictionaryArray:
        return self.column.combine_chunks().dictionary_encode()

    @cached_property
    def texts(self) -> list[str]:
        """The different ones."""
        found: list[str] = self.encoded.dictionary.to_pylist()
        return found

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often each text stands there."""
        found = self.encoded.value_counts().to_pylist()
        return {each["values"]: each["counts"] for each in found if each["values"] is not None}

    @cached_property
    def general_marks(self) -> frozenset[str]:
        """Of a plus and a minus, the minus says something."""
        marks = MARKS - {"-"} if "+" in self.texts else MARKS
        return (marks | self.marks) & frozenset(self.texts)

    def known(self, *more_marks: frozenset[str]) -> list[str]:
        """Different texts that are no mark."""
        marks = self.general_marks.union(*more_marks)
        return [text for text in self.texts if text not in marks]

    def typed(self, column: CsvColumn, notation: Notation) -> pa.ChunkedArray:
        """Every cell as the declaration reads it."""
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
    """The type that holds all cells that are known, text at last.

    Args:
        numbers: whether texts may stand for numbers, as they do in CSV files.
    """
    known = cells.known()
    if not known:
        return Inferred((CsvColumn("string"),), cells.general_marks)
    found = (infer_number(cells, notation) if numbers else None) or infer_date(cells, wishes)
    if found is not None:
        return found
    if {text.lower() for text in known} <= {"true", "false"} and numbers:
        return Inferred((CsvColumn("bool"),), cells.general_marks)
    return Inferred(
        (CsvColumn("string"),),
        cells.general_marks,
        almost(cells, notation, wishes) if numbers else (),
    )


def infer_number(cells: ColumnTexts, notation: Notation) -> Inferred | None:
    known = cells.known(MARKS_AMONG_VALUES)
    marks = frozenset(cells.texts) - frozenset(known)
    if not known or not all_fit(known, CsvColumn("float64"), notation):
        return None
    if any(map(ZEROS_FIRST.fullmatch, known)):
        return Inferred(
            (CsvColumn("string"),), marks, ("kept as text: some numbers begin with a zero",)
        )
    if all_fit(known, CsvColumn("int64"), notation):
        written = any(notation.decimal in text for text in known)
        # pandas writes the integers of a column with gaps as 65.0; without a gap they were numbers with decimals
        whole = not written or bool(marks) or cells.column.null_count > 0
        return Inferred((CsvColumn("int64" if whole else "float64"),), marks)
    if any(text.lstrip("+-").isdigit() and len(text) > 15 for text in known):
        return Inferred((CsvColumn("string"),), marks, ("kept as text: integers beyond ±2^53",))
    return Inferred((CsvColumn("float64"),), marks)


def infer_date(cells: ColumnTexts, wishes: Wishes) -> Inferred | None:
    known = cells.known(MARKS_AMONG_VALUES, MARKS_AMONG_DATES)
    columns = date_columns(known, wishes.timezone, wishes.date_format) if known else []
    return Inferred(tuple(columns), frozenset(cells.texts) - frozenset(known)) if columns else None


def infer_time(cells: ColumnTexts, wishes: Wishes) -> Inferred:
    """The declaration of the column that somebody called the time: years and counted seconds are dates too.

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
        if known and all(map(pattern.fullmatch, known)) and fits(column, known):
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


def almost(cells: ColumnTexts, notation: Notation, wishes: Wishes) -> tuple[str, ...]:
    """A word on text of which nearly all cells are numbers or dates: the others may mean a missing value."""
    counts = cells.counts
    known = {text: counts[text] for text in cells.known()}
    tests: dict[str, Callable[[str], bool]] = {
        "number": lambda text: all_fit([text], CsvColumn("float64"), notation),
        "date": lambda text: bool(date_columns([text], wishes.timezone, wishes.date_format)),
    }
    for what, test in tests.items():
        if not any(map(test, list(known)[:SAMPLE])):
            continue
        odd = [text for text in known if not test(text)]
        others = sum(known[text] for text in odd)
        if others <= FEW_OTHERS * sum(known.values()):
            shown = ", ".join(map(repr, odd[:SHOWN]))
            told = f"kept as text: {others} of {sum(known.values())} cells are no {what} ({shown})"
            return (f"{told}; name them with --missing if that is what they mean",)
    return ()


def all_fit(texts: Iterable[str], column: CsvColumn, notation: Notation) -> bool:
    strict = replace(column, missing=frozenset())
    for text in texts:
        try:
            parse_cell(text, strict, notation)
        except ValueError:
            return False
    return True
