"""Parquet files -> typed Arrow tables, for any repo's `ingest.py`, by the same declarations as CSV
files."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from potluck.contract.errors import DataError
from potluck.stores.ingest.csv_cells import CsvColumn, parse_cell


def read_parquet(path: Path, columns: Mapping[str, CsvColumn]) -> pa.Table:
    """Read the declared columns of a parquet file, in the declared order and types; others stay in
    the file.

    Raises:
        DataError: the file can't be read, or a column is not what `columns` declares.
    """
    try:
        held = pq.read_schema(path).names
        wanted = [name for name in columns if name in held]
        table = pq.read_table(path, columns=wanted)
    except OSError as error:
        raise DataError(
            f"expected a parquet file at {path}, but it can't be read: {error}"
        ) from None
    except pa.ArrowException as error:
        raise DataError(f"expected parquet at {path}, got something else: {error}") from None
    absent = [name for name, column in columns.items() if name not in held and not column.optional]
    if absent:
        raise DataError(
            f"{path}: expected also the column {absent[0]}, got {', '.join(held)}; is it the right "
            "file?"
        )
    if not table.num_rows:
        raise DataError(f"{path} holds no row; expected at least one: is it the right file?")
    return pa.table({name: declared(path, name, column, table) for name, column in columns.items()})


def declared(path: Path, name: str, column: CsvColumn, table: pa.Table) -> pa.ChunkedArray:
    """Return one column in its declared type."""
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, column.arrow_type)])
    try:
        values = in_type(table[name], column)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(
            f"{path}, column {name}: expected {column.dtype}, got {table[name].type}: {error}"
        ) from None
    if column.required and values.null_count:
        row = pc.index(pc.is_null(values), value=True).as_py() + 1
        raise DataError(f"{path}, column {name}: expected no missing value, got one in row {row}")
    return values


def in_type(values: pa.ChunkedArray, column: CsvColumn) -> pa.ChunkedArray:
    """Cast values as declared; text and numbers become times as the cells of a CSV file do.

    Raises:
        ArrowException, ValueError: they are something else.
    """
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_floating(values.type):  # pandas writes a missing integer as NaN
        values = pc.if_else(pc.is_nan(values), None, values)
    if column.dtype in ("date", "timestamp") and not pa.types.is_temporal(values.type):
        return parse_moments(values, column)
    if pa.types.is_timestamp(values.type) and column.dtype == "timestamp":
        if values.type.tz is None:
            values = pc.assume_timezone(values, column.timezone)
        return values.cast(column.arrow_type, safe=False)
    return values.cast(column.arrow_type)


def parse_moments(values: pa.ChunkedArray, column: CsvColumn) -> pa.ChunkedArray:
    """Parse days or times out of text or numbers; each different one is parsed once."""
    encoded = values.cast(pa.string()).combine_chunks().dictionary_encode()
    parsed = [parse_cell(text, column) for text in encoded.dictionary.to_pylist()]
    moments = pa.array(parsed, column.arrow_type)
    return pa.chunked_array([moments.take(encoded.indices)])
