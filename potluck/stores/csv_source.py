"""CSV files -> typed Arrow tables, for any repo's `ingest.py`; wrong cells are named by file, line, column.

A missing value is a null, never NaN. Nothing is guessed: the caller declares each column, and a file that says
something else is refused.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from potluck.contract.errors import DataError
from potluck.stores.csv_cells import Cell, CsvColumn, expectation, parse_cell

if TYPE_CHECKING:
    from _csv import Reader

Block: TypeAlias = list[tuple[int, list[str]]]
"""Line number and cells of some rows."""

MOST_ERRORS = 20
BLOCK_ROWS = 10_000  # rows held as Python objects at a time
LONGEST_QUOTE = 40  # characters of a wrong cell that a message repeats


@dataclass(frozen=True)
class CsvTable:
    """A file's rows, and where each stands."""

    path: Path
    table: pa.Table
    lines: Sequence[int]
    """Line number of each row, from 1; of its last line where a quoted cell spans several."""


class ErrorList:
    """Collects the errors of one file, so that a person corrects it once and not twenty times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[tuple[int, str]] = []

    @property
    def full(self) -> bool:
        return len(self.errors) >= MOST_ERRORS

    def add(self, line: int, reason: str) -> None:
        self.errors.append((line, reason))

    def refuse(self) -> None:
        """Raise what was collected, by line, if anything was."""
        if self.errors:
            first = sorted(self.errors, key=lambda error: error[0])[:MOST_ERRORS]
            shown = "\n".join(f"  line {line}, {reason}" for line, reason in first)
            rest = "\n  and maybe more: these come first" if self.full else ""
            what = "does not hold what was declared"
            raise DataError(f"{self.path} {what}:\n{shown}{rest}\nCorrect the file and ingest it again.")


def read_csv(path: Path, columns: Mapping[str, CsvColumn]) -> CsvTable:
    """Read a UTF-8 CSV file with a header; the table has the declared columns in the declared order.

    Stray spaces around a cell are cut and blank lines skipped; a byte-order mark and CRLF are accepted.

    Raises:
        DataError: the file can't be read, or its header or a cell is not what `columns` declares.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return read_table(path, csv.reader(file, strict=True), columns)
    except OSError as error:
        raise DataError(f"expected a CSV file at {path}, but it can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        where = f"{path}, line {undecodable_line(path)}"
        raise DataError(f"{where}: expected UTF-8, got other bytes; save the file as UTF-8") from None


def join_tables(tables: Sequence[CsvTable], key: str) -> pa.Table:
    """The rows of all files, in order.

    Raises:
        DataError: a key stands in two rows, of one file or of two.
    """
    seen: dict[Cell, str] = {}
    for part in tables:
        errors = ErrorList(part.path)
        for value, line in zip(part.table[key].to_pylist(), part.lines, strict=True):
            if value in seen:
                errors.add(line, f"column {key}: expected each value once, got {value!r} as in {seen[value]}")
            seen.setdefault(value, f"{part.path} line {line}")
        errors.refuse()
    return pa.concat_tables([part.table for part in tables])


def read_table(path: Path, reader: "Reader", columns: Mapping[str, CsvColumn]) -> CsvTable:
    errors = ErrorList(path)
    try:
        header = read_header(path, reader, columns)
        lines: list[int] = []
        tables: list[pa.Table] = []
        rows = numbered_rows(reader, len(header), errors)
        while not errors.full and (block := list(islice(rows, BLOCK_ROWS))):
            lines += [line for line, _ in block]
            tables.append(parse_block(block, header, columns, errors))
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: expected CSV, got a broken row: {error}") from None
    errors.refuse()
    if not tables:
        raise DataError(f"{path} holds a header and no row; expected at least one: is it the right file?")
    return CsvTable(path, pa.concat_tables(tables), lines)


def read_header(path: Path, reader: "Reader", columns: Mapping[str, CsvColumn]) -> list[str]:
    """The header's names, checked against the declared columns."""
    header = [name.strip() for name in next((row for row in reader if row), [])]
    if not header:
        raise DataError(f"{path} is empty; expected a header with {some(list(columns))}")
    line = f"{path}, line {reader.line_num}"
    if repeated := [name for name, count in Counter(header).items() if count > 1]:
        raise DataError(f"{line}: expected each column once, got {some(repeated)} twice; remove one")
    if unknown := [name for name in header if name not in columns]:
        raise DataError(f"{line}: expected only declared columns, got {some(unknown)}; rename or remove it")
    if absent := [name for name in columns if name not in header and not columns[name].optional]:
        raise DataError(f"{line}: expected also the column {some(absent)}; is it the right file?")
    return header


def numbered_rows(reader: "Reader", width: int, errors: ErrorList) -> Iterator[tuple[int, list[str]]]:
    """Rows of the header's width with their line numbers; others go to the errors, until there are enough."""
    for row in reader:
        if len(row) == width:
            yield reader.line_num, row
        elif row:
            errors.add(reader.line_num, f"expected {width} cells as in the header, got {len(row)}")
        if errors.full:
            return


def parse_block(block: Block, header: Sequence[str], columns: Mapping[str, CsvColumn], errors: ErrorList) -> pa.Table:
    lines = [line for line, _ in block]
    texts = dict(zip(header, zip(*(row for _, row in block), strict=True), strict=True))
    arrays = {
        name: parse_column(name, column, texts[name], lines, errors)
        if name in texts
        else pa.nulls(len(block), column.arrow_type)
        for name, column in columns.items()
    }
    return pa.table(arrays)


def parse_column(
    name: str, column: CsvColumn, texts: Sequence[str], lines: Sequence[int], errors: ErrorList
) -> pa.Array:
    """A block's column; each different text is parsed once."""
    values: dict[str, Cell] = {}
    for text in set(texts):
        try:
            values[text] = parse_cell(text.strip(), column)
        except ValueError:
            continue
    if len(values) < len(set(texts)):
        for line, text in zip(lines, texts, strict=True):
            if text not in values:
                errors.add(line, f"column {name}: expected {expectation(column)}, got {quote(text)}")
    return pa.array([values.get(text) for text in texts], column.arrow_type)


def quote(text: str) -> str:
    return repr(text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…")


def some(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def undecodable_line(path: Path) -> int:
    """Number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            try:
                raw.decode()
            except UnicodeDecodeError:
                return line
    return 0
