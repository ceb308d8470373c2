"""Tables -> the parquet files of the sources: all of them are written, or none."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from potluck.contract.accounting import Account
from potluck.contract.errors import DataError
from potluck.contract.lock import exclusive
from potluck.stores.ingest.fewer_rows import MayShrink, check_row_counts
from potluck.stores.ingest.ingest_file import Keys, Sources
from potluck.stores.ingest.source_rows import append_rows, clean_rows
from potluck.stores.ingest.swap import put_back, swapped
from potluck.stores.parquet.read_errors import first_line

SCHEMA_FILE = "schema.parquet"
"""Without a row: it says what the files beside it hold."""

ROW_GROUP_ROWS = 50_000
"""Small enough that a reader of a range of keys skips most of a file."""

LOCK_FILE = ".ingest.lock"


@dataclass(frozen=True)
class Written:
    """What an ingest did."""

    rows: dict[str, int]
    """Source -> rows that it holds now; 0 where an empty folder was made for others to fill."""
    before: dict[str, int]
    """Source -> rows that it held."""
    accounts: list[Account]


def write_sources(
    folder: Path,
    sources: Sources,
    *,
    keys: Keys | None = None,
    adding: bool = False,
    may_shrink: MayShrink = lambda _: True,
) -> Written:
    """Write every source as `<name>.parquet`, a file or a folder; no file is replaced unless all
    could be written.

    Args:
        keys: how rows are told apart; a source that is not named has no two rows alike.
        adding: to the rows that are there, instead of replacing them.
        may_shrink: asked before a source is replaced by fewer rows than it holds.

    Raises:
        DataError: a table holds what the online store, the model and JSON can't hold alike, or
            can't be appended.
        Refused: a source would shrink, and may not.
        Locked: another ingest writes into this folder.
    """
    keys = keys or {}
    given = {name: source for name, source in sources.items() if isinstance(source, pa.Table)}
    check_keys(keys, given)
    came = {name: clean_rows(name, table, keys.get(name, ())) for name, table in given.items()}
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / LOCK_FILE, f"another ingest writes into {folder}"):
        put_back(folder)
        before = {name: count_rows(name, folder / f"{name}.parquet") for name in came}
        tables = {name: rows.table for name, rows in came.items()}
        if adding:
            for name, table in tables.items():
                tables[name] = appended(folder, name, table, keys.get(name, ()))
        after = {name: table.num_rows for name, table in tables.items()}
        if not adding:
            check_row_counts(before, after, may_shrink)
        write_tables(folder, tables)
        made = write_schemas(folder, sources)
    accounts = [rows.account for rows in came.values()]
    return Written(after | dict.fromkeys(made, 0), before, accounts)


def write_tables(folder: Path, tables: Mapping[str, pa.Table]) -> None:
    with arrow_errors_in_words(), swapped(folder) as staged:
        for name, table in tables.items():
            write_parquet(staged / f"{name}.parquet", table)


def write_schemas(folder: Path, sources: Sources) -> list[str]:
    """Make the folders that others fill, and return the names of those that were not there."""
    made = []
    for name, source in sources.items():
        if isinstance(source, pa.Schema) and write_schema(folder / f"{name}.parquet", source):
            made.append(name)
    return made


def check_keys(keys: Keys, given: Mapping[str, pa.Table]) -> None:
    unknown = sorted(set(keys) - set(given))
    if unknown:
        raise DataError(
            f"the KEYS of ingest.py name the source {unknown[0]}, which it does not give; "
            f"expected some of {', '.join(given) or 'none'}"
        )
    for name, columns in keys.items():
        if isinstance(columns, str):
            raise DataError(
                f"expected the KEYS of {name} in ingest.py to be a list, as in [{columns!r}], got "
                "text"
            )


def count_rows(name: str, path: Path) -> int:
    """Count the rows of a source's file: 0 where there is none, or a damaged one.

    No row of a damaged file can be kept, so it does not count as shrinking.

    Raises:
        DataError: it is a folder that others fill.
    """
    if path.is_dir():
        raise DataError(
            f"source {name} is a folder that others fill ({path}); expected a schema of it, got a "
            "table"
        )
    if not path.exists():
        return 0
    try:
        return int(pq.read_metadata(path).num_rows)
    except pa.ArrowInvalid:
        return 0


def appended(folder: Path, name: str, table: pa.Table, keys: Sequence[str]) -> pa.Table:
    path = folder / f"{name}.parquet"
    if not path.exists():
        return table
    try:
        there = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"source {name} ({path}) can't be added to: expected parquet, got {first_line(error)}; "
            "write all rows again (`potluck ingest --replace`)"
        ) from None
    return append_rows(name, there, table, keys)


@contextlib.contextmanager
def arrow_errors_in_words() -> Iterator[None]:
    """Tell Arrow's errors as ours.

    Raises:
        DataError: a file is no parquet, or a table can't be written as such.
    """
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"a source can't be read or written as parquet: {error}") from error


def write_schema(folder: Path, schema: pa.Schema) -> bool:
    """Make the folder of a source that others fill, unless it is there; version 0.1.0 kept a single
    file.

    Returns:
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
    """Write parquet as every room expects it."""
    pq.write_table(
        table,
        path,
        coerce_timestamps="us",  # DuckDB can't cast nanosecond UTC timestamps
        allow_truncated_timestamps=True,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
    )
