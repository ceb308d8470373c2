"""CSV files -> typed Arrow tables, for any repo's `ingest.py`; wrong cells are named by file, line,
column.

A missing value is a null, never NaN. Nothing is guessed: the caller declares each column, and a
file that says something else is refused.
"""

import contextlib
import csv
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from potluck.contract.errors import DataError
from potluck.stores.ingest.csv_cells import (
    MISSING,
    Cell,
    CsvColumn,
    Notation,
    expectation,
    parse_cell,
)
from potluck.stores.ingest.csv_errors import ErrorList, quote, some

if TYPE_CHECKING:
    from _csv import Reader

Block: TypeAlias = list[tuple[int, list[str]]]
"""Line number and cells of some rows."""

BLOCK_ROWS = 10_000  # rows held as Python objects at a time


@dataclass(frozen=True)
class CsvTable:
    """A file's rows, and where each stands."""

    path: Path
    table: pa.Table
    lines: Sequence[int]
    """Line number of each row, from 1; of its last line where a quoted cell spans several."""


def read_csv(
    path: Path,
    columns: Mapping[str, CsvColumn],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    decimal: str = ".",
    thousands: str = "",
    missing: Collection[str] = MISSING,
) -> CsvTable:
    """Read a CSV file with a header; the table has the declared columns in the declared order.

    Stray spaces around a cell are cut and blank lines skipped; a byte-order mark and CRLF are
    accepted.

    Args:
        delimiter: one character between cells, such as `;` or a tab.
        encoding: as Python calls it, such as `cp1252`.
        decimal: what stands before the decimals of a number, `.` or `,`.
        thousands: what stands between groups of three digits, if anything does.
        missing: texts that mean an unknown value, in columns that don't name their own.

    Raises:
        DataError: the file can't be read, or its header or a cell is not what `columns` declares.
    """
    if len(delimiter) != 1:
        raise DataError(f"expected a delimiter of one character, such as ';'; got {delimiter!r}")
    notation = Notation(decimal, thousands, frozenset(missing))
    is_utf8 = encoding.lower().replace("_", "-") in ("utf-8", "utf8")
    marked = "utf-8-sig" if is_utf8 else encoding  # with or without a byte-order mark
    check_ends(path)
    try:
        with path.open(encoding=marked, newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            return TableReader(path, columns, notation).read(reader)
    except OSError as error:
        raise DataError(
            f"expected a CSV file at {path}, but it can't be read: {error.strerror}"
        ) from None
    except UnicodeError:
        where = f"{path}, line {undecodable_line(path, marked)}"
        name = encoding.upper()
        told = (
            f"expected {name}, got other bytes; save the file as {name}, "
            "or name its encoding: read_csv(encoding=…)"
        )
        raise DataError(f"{where}: {told}") from None
    except LookupError:
        raise DataError(
            f"expected an encoding that Python knows, such as utf-8 or cp1252; got {encoding!r}"
        ) from None


def check_ends(path: Path) -> None:
    """Refuse a device, which may have no end, and a pipe, which may have no writer.

    Raises:
        DataError: it is one.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(
            f"expected a CSV file at {path}, but it is a device, a pipe or a socket; write its "
            "content to a file"
        )


def join_tables(tables: Sequence[CsvTable], key: str) -> pa.Table:
    """Concatenate the rows of all files, in order.

    Raises:
        DataError: a key stands in two rows, of one file or of two.
    """
    seen: dict[Cell, str] = {}
    for part in tables:
        errors = ErrorList(part.path)
        for value, line in zip(part.table[key].to_pylist(), part.lines, strict=True):
            if value in seen:
                expected = f"column {key}: expected each value once"
                errors.add(line, f"{expected}, got {value!r} as in {seen[value]}")
            else:
                seen[value] = f"{part.path} line {line}"
        errors.refuse()
    return pa.concat_tables([part.table for part in tables])


@dataclass(frozen=True)
class TableReader:
    """One file's rows, block by block."""

    path: Path
    columns: Mapping[str, CsvColumn]
    notation: Notation

    def read(self, reader: "Reader") -> CsvTable:
        errors = ErrorList(self.path)
        try:
            header = read_header(self.path, reader, self.columns)
            lines: list[int] = []
            tables: list[pa.Table] = []
            rows = numbered_rows(reader, len(header), errors)
            while not errors.full and (block := list(islice(rows, BLOCK_ROWS))):
                lines += [line for line, _ in block]
                tables.append(self.parse_block(block, header, errors))
        except csv.Error as error:
            raise DataError(
                f"{self.path}, line {reader.line_num}: expected CSV, got a broken row: {error}"
            ) from None
        errors.refuse()
        if not tables:
            raise DataError(
                f"{self.path} holds a header and no row; expected at least one: is it the right "
                "file?"
            )
        return CsvTable(self.path, pa.concat_tables(tables), lines)

    def parse_block(self, block: Block, header: Sequence[str], errors: ErrorList) -> pa.Table:
        lines = [line for line, _ in block]
        rows = [row for _, row in block]
        cells = zip(*rows, strict=True)  # by column
        texts = dict(zip(header, cells, strict=True))
        arrays = {}
        for name, column in self.columns.items():
            if name in texts:
                arrays[name] = self.parse_column(name, texts[name], lines, errors)
            else:
                arrays[name] = pa.nulls(len(block), column.arrow_type)
        return pa.table(arrays)

    def parse_column(
        self, name: str, texts: Sequence[str], lines: Sequence[int], errors: ErrorList
    ) -> pa.Array:
        """Parse a column of a block; each different text is parsed once."""
        column = self.columns[name]
        different = set(texts)
        values: dict[str, Cell] = {}
        for text in different:
            with contextlib.suppress(ValueError):
                values[text] = parse_cell(text.strip(), column, self.notation)
        if len(values) < len(different):  # some could not be parsed
            expected = expectation(column, self.notation)
            for line, text in zip(lines, texts, strict=True):
                if text not in values:
                    errors.add(line, f"column {name}: expected {expected}, got {quote(text)}")
        return pa.array([values.get(text) for text in texts], column.arrow_type)


def read_header(path: Path, reader: "Reader", columns: Mapping[str, CsvColumn]) -> list[str]:
    """Read the header's names and check them against the declared columns."""
    rows = filter(None, reader)  # without blank lines
    header = [name.strip() for name in next(rows, [])]
    if not header:
        raise DataError(f"{path} is empty; expected a header with {some(list(columns))}")
    line = f"{path}, line {reader.line_num}"
    if repeated := [name for name, count in Counter(header).items() if count > 1]:
        raise DataError(
            f"{line}: expected each column once, got {some(repeated)} twice; remove one"
        )
    if unknown := [name for name in header if name not in columns]:
        raise DataError(
            f"{line}: expected only declared columns, got {some(unknown)}; rename or remove it"
        )
    if absent := [name for name in columns if name not in header and not columns[name].optional]:
        raise DataError(f"{line}: expected also the column {some(absent)}; is it the right file?")
    return header


def numbered_rows(
    reader: "Reader", width: int, errors: ErrorList
) -> Iterator[tuple[int, list[str]]]:
    """Rows of the header's width with their line numbers; others go to the errors, until there are
    enough."""
    for row in reader:
        if len(row) == width:
            yield reader.line_num, row
        elif row:
            errors.add(reader.line_num, f"expected {width} cells as in the header, got {len(row)}")
        if errors.full:
            return


def undecodable_line(path: Path, encoding: str) -> int:
    """Find the number of the first line that can't be decoded."""
    raw = path.read_bytes()
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        return raw[: error.start].decode(encoding, "replace").count("\n") + 1
    except UnicodeError:
        pass
    return 1
