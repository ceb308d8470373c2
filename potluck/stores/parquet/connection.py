"""A database of DuckDB's for one query or a few, and its errors as ours."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from potluck.contract.errors import DataError, UsageError
from potluck.stores.parquet.read_errors import AGAIN, first_line
from potluck.stores.parquet.source import ParquetSource


@contextmanager
def connected(
    *sources: ParquetSource,
    threads: int | None = None,
    memory_limit: str | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of its own that counts time in UTC; what exceeds `memory_limit` spills to a folder
    that goes with it.

    Args:
        sources: what is read, to be named where it can't be.

    Raises:
        DataError, UsageError: as `told_in_words`.
    """
    with tempfile.TemporaryDirectory(prefix="potluck-duckdb-") as folder:
        wanted = {"threads": threads, "memory_limit": memory_limit, "temp_directory": folder}
        options = {name: value for name, value in wanted.items() if value is not None}
        with told_in_words(*sources), duckdb.connect(config=options) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection


@contextmanager
def told_in_words(*sources: ParquetSource) -> Iterator[None]:
    """Tell DuckDB's errors as ours, and name what is read.

    Raises:
        DataError: the sources do not hold what a query asks for.
        UsageError: they can't be read within the memory limit.
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise UsageError(
            f"DuckDB needs more memory: {str(error).splitlines()[0]}; raise memory_limit"
        ) from None
    except duckdb.Error as error:
        names = [f"source {source.name} ({source.files[0]})" for source in sources]
        read = ", ".join(names) or "the sources"
        raise DataError(
            f"DuckDB can't read {read} as declared: {first_line(error)}; {AGAIN}"
        ) from error
