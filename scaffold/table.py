"""A file as it stands: its columns with types, what is missing, and how it is written."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from potluck.contract.errors import DataError, UsageError
from potluck.contract.features import LARGEST_INTEGER
from potluck.stores.ingest.csv_cells import MISSING, CsvColumn, CsvType, Notation
from potluck.stores.ingest.csv_source import read_csv
from potluck.stores.ingest.parquet_table import in_type
from scaffold import dialect
from scaffold.cells import ColumnTexts, Inferred, infer, infer_time
from scaffold.names import column_names, find_column
from scaffold.wishes import Asking, Wishes


@dataclass(frozen=True)
class ColumnProfile:
    """One column of the file."""

    header: str
    """Its name in the file."""
    name: str
    """Its name in the repo."""
    declared: tuple[CsvColumn, ...]
    """What it holds; more than one where day and month can't be told apart; none where it can't be kept."""
    values: pa.ChunkedArray
    """In the first declaration's type; a missing value is a null."""
    marks: frozenset[str] = frozenset()
    """Texts in it that mean a missing value."""
    notes: tuple[str, ...] = ()
    """What a person should know of it."""

    @property
    def column(self) -> CsvColumn:
        return self.declared[0]

    @property
    def dtype(self) -> str:
        return self.column.dtype if self.declared else str(self.values.type)

    @property
    def missing(self) -> int:
        return int(self.values.null_count)

    @cached_property
    def distinct(self) -> int:
        return (
            int(pc.count_distinct(self.values, mode="only_valid").as_py()) if self.declared else 0
        )

    @property
    def is_time(self) -> bool:
        return self.dtype in ("date", "timestamp")


@dataclass(frozen=True)
class ProfiledTable:
    """The whole file."""

    path: Path
    rows: int
    profiles: Mapping[str, ColumnProfile]
    """By the file's names."""
    delimiter: str = ""
    """Empty for parquet."""
    encoding: str = ""
    notation: Notation = field(default_factory=Notation)

    @property
    def is_parquet(self) -> bool:
        return not self.delimiter

    @property
    def names(self) -> dict[str, str]:
        """The file's name of each column -> its name in the repo."""
        return {header: profile.name for header, profile in self.profiles.items()}


def profile_table(path: Path, wishes: Wishes, ask: Asking) -> ProfiledTable:
    """Look at all of a CSV, TSV or parquet file.

    Raises:
        DataError: it is none, or its rows are broken.
        UsageError: something can't be told from the file; the message names the flag.
    """
    if dialect.is_parquet(path):
        refuse_text_flags(path, wishes)
        table = look_at_parquet(path, wishes)
    else:
        table = look_at_text(path, wishes, ask)
    form = wishes.date_format
    if form is not None and all(
        form != each.column.format for each in table.profiles.values() if each.declared
    ):
        raise UsageError(
            f"--date-format: no column of {path} holds days or times that are all written as {form}"
        )
    return table


def refuse_text_flags(path: Path, wishes: Wishes) -> None:
    given = {
        "--delimiter": wishes.delimiter,
        "--encoding": wishes.encoding,
        "--decimal": wishes.decimal,
        "--missing": wishes.missing,
    }
    for flag, value in given.items():
        if value:
            raise UsageError(
                f"{flag} goes with text files; {path} is parquet, which says so itself"
            )


def look_at_text(path: Path, wishes: Wishes, ask: Asking) -> ProfiledTable:
    encoding = wishes.encoding or dialect.find_encoding(path)
    sample = dialect.sample_text(path, encoding)
    delimiter = wishes.delimiter or dialect.find_delimiter(path, sample)
    dialect.check_header(path, sample, delimiter)
    raw = read_raw(path, sample, delimiter, encoding)
    cells = [ColumnTexts(header, raw[header], wishes.missing) for header in raw.column_names]
    decimal, thousands = settle_separators(cells, wishes, ask)
    notation = Notation(decimal, thousands)
    names = column_names(raw.column_names)
    time = time_header(wishes, names)
    found = {each.header: infer_one(each, notation, wishes, time) for each in cells}
    # what means a missing value in text means it in the whole file
    marks = MISSING.union(*(each.general_marks for each in cells))
    notation = replace(notation, missing=marks)
    profiles = {
        each.header: text_profile(each, names[each.header], found[each.header], notation)
        for each in cells
    }
    return ProfiledTable(path, raw.num_rows, profiles, delimiter, encoding, notation)


def read_raw(path: Path, sample: str, delimiter: str, encoding: str) -> pa.Table:
    """Every cell as text, by the reader that ingest uses."""
    header = next(
        row for row in csv.reader(sample.splitlines(keepends=True), delimiter=delimiter) if row
    )
    text = CsvColumn("string", missing=frozenset())
    columns = {name.strip(): text for name in header}
    return read_csv(path, columns, delimiter=delimiter, encoding=encoding).table


def settle_separators(cells: Sequence[ColumnTexts], wishes: Wishes, ask: Asking) -> tuple[str, str]:
    texts = [known for each in cells if (known := each.known())]
    found = dialect.find_separators(texts, wishes.decimal)
    if found is None:
        question = "Does 1,234 mean more than a thousand (a decimal point) or a little more than one (a comma)?"
        found = dialect.find_separators(texts, ask("--decimal", question, (".", ","), None))
    assert found is not None
    return found


def time_header(wishes: Wishes, names: dict[str, str]) -> str | None:
    """The file's name of the column that somebody called the time."""
    if wishes.time is None or wishes.time == "none":
        return None
    return find_column("--time", wishes.time, names)


def infer_one(cells: ColumnTexts, notation: Notation, wishes: Wishes, time: str | None) -> Inferred:
    return infer_time(cells, wishes) if cells.header == time else infer(cells, notation, wishes)


def text_profile(
    cells: ColumnTexts, name: str, found: Inferred, notation: Notation
) -> ColumnProfile:
    """A column whose marks are the file's, or its own where they differ."""
    marks_of_file = notation.missing & frozenset(cells.texts)
    own = None if found.marks == marks_of_file else found.marks | {""}
    declared = tuple(replace(column, missing=own) for column in found.declared)
    values = cells.typed(declared[0], notation)
    return ColumnProfile(cells.header, name, declared, values, found.marks, found.notes)


def look_at_parquet(path: Path, wishes: Wishes) -> ProfiledTable:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"expected parquet at {path}, but it can't be read: {error}") from None
    if not table.num_rows:
        raise DataError(f"{path} holds no row; expected at least one")
    names = column_names(table.column_names)
    time = time_header(wishes, names)
    profiles = {
        header: parquet_profile(
            header, names[header], table[header], wishes, is_time=header == time
        )
        for header in table.column_names
    }
    return ProfiledTable(path, table.num_rows, profiles)


def parquet_profile(
    header: str, name: str, column: pa.ChunkedArray, wishes: Wishes, *, is_time: bool
) -> ColumnProfile:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    dtype = declared_dtype(column)
    if dtype is None:
        told = f"{column.type} is no type that a model or JSON can hold"
        return ColumnProfile(header, name, (), column, notes=(told,))
    counted = dtype in ("int64", "float64") and is_time
    if dtype == "string" or counted:
        texts = pc.cast(column, pa.string())
        cells = ColumnTexts(header, texts)
        found = (
            infer_time(cells, wishes)
            if is_time
            else infer(cells, Notation(), wishes, numbers=False)
        )
        declared = found.declared
    else:
        declared = (CsvColumn(dtype, timezone=wishes.timezone if dtype == "timestamp" else "UTC"),)
    return ColumnProfile(header, name, declared, in_type(column, declared[0]))


def declared_dtype(column: pa.ChunkedArray) -> CsvType | None:
    """The declaration that holds a parquet column."""
    held = column.type
    if pa.types.is_integer(held):
        ends = [end for end in pc.min_max(column).as_py().values() if end is not None]
        return "string" if any(abs(end) > LARGEST_INTEGER for end in ends) else "int64"
    tests: dict[CsvType, bool] = {
        "float64": pa.types.is_floating(held) or pa.types.is_decimal(held),
        "bool": pa.types.is_boolean(held),
        "string": pa.types.is_string(held)
        or pa.types.is_large_string(held)
        or pa.types.is_null(held),
        "date": pa.types.is_date(held),
        "timestamp": pa.types.is_timestamp(held),
    }
    return next((dtype for dtype, holds in tests.items() if holds), None)
