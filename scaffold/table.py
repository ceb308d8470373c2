"""Profile a file: its columns with types, what is missing, and how it is written."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from potluck.contract.errors import DataError, UsageError
from potluck.contract.fields import LARGEST_INTEGER
from potluck.stores.ingest.csv_cells import MISSING, CsvColumn, CsvType, Notation
from potluck.stores.ingest.csv_source import read_csv
from potluck.stores.ingest.parquet_table import in_type
from scaffold import dialect
from scaffold.cells import ColumnTexts, Inferred, infer, infer_time
from scaffold.names import column_names, find_column
from scaffold.profile import ColumnProfile, ProfiledTable
from scaffold.wishes import Asking, Wishes


def profile_table(path: Path, wishes: Wishes, ask: Asking) -> ProfiledTable:
    """Profile a CSV, TSV or parquet file, all rows of it.

    Raises:
        DataError: it is of another kind, or its rows are broken.
        UsageError: something can't be told from the file; the message names the flag.
    """
    if dialect.is_parquet(path):
        refuse_text_flags(path, wishes)
        table = look_at_parquet(path, wishes)
    else:
        table = look_at_text(path, wishes, ask)
    formats = {each.column.format for each in table.profiles.values() if each.declared}
    wanted = wishes.date_format
    if wanted is not None and wanted not in formats:
        raise UsageError(
            f"--date-format: no column of {path} holds days or times that are all written as "
            f"{wanted}"
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
    # What means a missing value in text means it in the whole file.
    marks = MISSING.union(*(each.general_marks for each in cells))
    notation = replace(notation, missing=marks)
    profiles = {}
    for each in cells:
        header = each.header
        profiles[header] = text_profile(each, names[header], found[header], notation)
    return ProfiledTable(path, raw.num_rows, profiles, delimiter, encoding, notation)


def read_raw(path: Path, sample: str, delimiter: str, encoding: str) -> pa.Table:
    """Read every cell as text, by the reader that ingest uses."""
    rows = csv.reader(sample.splitlines(keepends=True), delimiter=delimiter)
    header = next(filter(None, rows))
    text = CsvColumn("string", missing=frozenset())
    columns = {name.strip(): text for name in header}
    return read_csv(path, columns, delimiter=delimiter, encoding=encoding).table


def settle_separators(cells: Sequence[ColumnTexts], wishes: Wishes, ask: Asking) -> tuple[str, str]:
    """Find decimal mark and group separator, or ask where the file can't tell."""
    texts = [known for each in cells if (known := each.known())]
    found = dialect.find_separators(texts, wishes.decimal)
    if found is None:
        question = (
            "Does 1,234 mean more than a thousand (a decimal point) or a little more than one "
            "(a comma)?"
        )
        decimal = ask("--decimal", question, (".", ","), None)
        found = dialect.find_separators(texts, decimal)
    assert found is not None  # with a decimal mark given, it always tells
    return found


def time_header(wishes: Wishes, names: dict[str, str]) -> str | None:
    """Find the file's name of the column that the user called the time."""
    if wishes.time is None or wishes.time == "none":
        return None
    return find_column("--time", wishes.time, names)


def infer_one(cells: ColumnTexts, notation: Notation, wishes: Wishes, time: str | None) -> Inferred:
    if cells.header == time:
        return infer_time(cells, wishes)
    return infer(cells, notation, wishes)


def text_profile(
    cells: ColumnTexts, name: str, found: Inferred, notation: Notation
) -> ColumnProfile:
    """Profile a column of text; its own texts for a missing value stand where the file's differ."""
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
    profiles = {}
    for header, name in names.items():
        is_time = header == time
        profiles[header] = parquet_profile(header, name, table[header], wishes, is_time=is_time)
    return ProfiledTable(path, table.num_rows, profiles)


def parquet_profile(
    header: str, name: str, column: pa.ChunkedArray, wishes: Wishes, *, is_time: bool
) -> ColumnProfile:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    dtype = held_dtype(column)
    if dtype is None:
        told = f"{column.type} is no type that a model or JSON can hold"
        return ColumnProfile(header, name, (), column, notes=(told,))
    found = declare_parquet(header, column, dtype, wishes, is_time=is_time)
    values = in_type(column, found.declared[0])
    return ColumnProfile(header, name, found.declared, values, found.marks)


def declare_parquet(
    header: str, column: pa.ChunkedArray, dtype: CsvType, wishes: Wishes, *, is_time: bool
) -> Inferred:
    """Declare a parquet column; texts, and the numbers of a time, may hold days or times."""
    if dtype == "string":
        cells = ColumnTexts(header, pc.cast(column, pa.string()))
        if is_time:
            return with_own_marks(infer_time(cells, wishes))
        return with_own_marks(infer(cells, Notation(), wishes, numbers=False))
    declared: tuple[CsvColumn, ...] = (CsvColumn(dtype),)
    if is_time and dtype in ("int64", "float64"):
        declared = infer_time(ColumnTexts(header, pc.cast(column, pa.string())), wishes).declared
    elif dtype == "timestamp":
        declared = (CsvColumn(dtype, timezone=wishes.timezone),)
    return Inferred(declared, frozenset())


def with_own_marks(found: Inferred) -> Inferred:
    """Declare the texts among days or times of a parquet column that mean a missing value."""
    if found.declared[0].dtype == "string" or found.marks <= MISSING:
        return Inferred(found.declared, frozenset())
    own = found.marks | {""}
    return Inferred(tuple(replace(column, missing=own) for column in found.declared), found.marks)


def held_dtype(column: pa.ChunkedArray) -> CsvType | None:
    """Find the type that holds a parquet column; None where no type does."""
    held, types = column.type, pa.types
    if types.is_integer(held):
        ends = pc.min_max(column).as_py().values()  # None where there is no value
        too_large = any(abs(end) > LARGEST_INTEGER for end in ends if end is not None)
        return "string" if too_large else "int64"
    tests: dict[CsvType, tuple[Callable[[pa.DataType], bool], ...]] = {
        "float64": (types.is_floating, types.is_decimal),
        "bool": (types.is_boolean,),
        "string": (types.is_string, types.is_large_string, types.is_null),
        "date": (types.is_date,),
        "timestamp": (types.is_timestamp,),
    }
    for dtype, holds in tests.items():
        if any(test(held) for test in holds):
            return dtype
    return None
