"""From a repo's `ingest.py` to parquet: typed, microsecond UTC timestamps, nulls instead of NaN, all or nothing."""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from potluck.contract.errors import DataError, UsageError
from potluck.contract.features import LARGEST_INTEGER

Sources = Mapping[str, pa.Table | pa.Schema]
"""Source name -> its rows, which replace what was there, or the schema of a folder of files that others fill."""

SCHEMA_FILE = "schema.parquet"
"""Without a row: it says what the files beside it hold."""

ROW_GROUP_ROWS = 50_000
"""Small enough that a reader of a range of keys skips most of a file."""

Ingest = Callable[[Sequence[Path], int, int], Sources]


def load_ingest(repo: Path) -> Ingest:
    """The `ingest` function of a repo's `ingest.py`, which may import its neighbours in the folder.

    Raises:
        UsageError: there is none.
    """
    path = repo / "ingest.py"
    if not path.is_file():
        raise UsageError(f"expected {path} with a function ingest(files, rows, seed); see docs/bring-your-own-data.md")
    sys.path.insert(0, str(repo))
    try:
        spec = importlib.util.spec_from_file_location("potluck_ingest", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(repo))
    if not hasattr(module, "ingest"):
        raise UsageError(f"{path} has no function ingest(files, rows, seed); see docs/bring-your-own-data.md")
    return module.ingest  # type: ignore[no-any-return]


def write_sources(folder: Path, sources: Sources) -> dict[str, int]:
    """Write every source as `<name>.parquet`, a file or a folder; no file is replaced unless all could be written.

    Answers:
        Source -> its number of rows.

    Raises:
        DataError: a table holds what the online store, the model and JSON can't hold alike.
    """
    tables = {name: clean(name, source) for name, source in sources.items() if isinstance(source, pa.Table)}
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".ingest-", dir=folder))
    try:
        for name, table in tables.items():
            write_parquet(staging / f"{name}.parquet", table)
        for name in tables:
            os.replace(staging / f"{name}.parquet", folder / f"{name}.parquet")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    made = [
        name
        for name, source in sources.items()
        if isinstance(source, pa.Schema) and write_schema(folder / f"{name}.parquet", source)
    ]
    return {name: table.num_rows for name, table in tables.items()} | dict.fromkeys(made, 0)


def write_schema(folder: Path, schema: pa.Schema) -> bool:
    """Make the folder of a source that others fill, unless it is there; version 0.1.0 kept a single file.

    Answers:
        Whether it was made.
    """
    earlier = folder.with_suffix(".earlier")
    if folder.is_file():
        os.replace(folder, earlier)
    making = not folder.exists()
    if making:
        folder.mkdir()
        write_parquet(folder / SCHEMA_FILE, schema.empty_table())
    if earlier.exists():
        os.replace(earlier, folder / "earlier.parquet")
    return making


def write_parquet(path: Path, table: pa.Table) -> None:
    """Parquet as every room expects it: DuckDB can't cast nanosecond UTC timestamps."""
    pq.write_table(
        table,
        path,
        coerce_timestamps="us",
        allow_truncated_timestamps=True,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
    )


def clean(source: str, table: pa.Table) -> pa.Table:
    columns = [clean_column(f"{source}.{name}", table[name]) for name in table.column_names]
    return pa.table(columns, names=table.column_names)


def clean_column(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """NaN becomes null, floats are doubles, timestamps microseconds in UTC."""
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
        return pc.if_else(pc.is_nan(column), None, column)
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us", tz="UTC"), safe=False)
    if pa.types.is_integer(column.type):
        ends = [end for end in pc.min_max(column).as_py().values() if end is not None]
        largest = max(ends, key=abs, default=0)
        if abs(largest) > LARGEST_INTEGER:
            raise DataError(
                f"{name} holds {largest}, beyond ±2^53, where a float64 can't tell two integers apart; "
                "keep such a number as text"
            )
        return column.cast(pa.int64())
    return column
