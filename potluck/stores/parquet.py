"""Parquet sources as DuckDB reads them: a file, a folder of files or a glob, with timestamps in UTC."""

import glob
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from potluck.contract.errors import DataError, MissingStepError, UsageError

FILE, LINE = "potluck_file", "file_row_number"
TIMES = ("TIMESTAMP", "DATE")
AGAIN = "write the source again (`potluck ingest`)"


@contextmanager
def connected(threads: int | None = None, memory_limit: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database of its own that counts time in UTC; what exceeds `memory_limit` spills to a folder that goes with it.

    Raises:
        DataError: DuckDB can't read what a query asks for.
        UsageError: it can't do so within the memory limit.
    """
    with tempfile.TemporaryDirectory(prefix="potluck-duckdb-") as folder:
        wanted = {"threads": threads, "memory_limit": memory_limit, "temp_directory": folder}
        with duckdb.connect(config={name: value for name, value in wanted.items() if value is not None}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            try:
                yield connection
            except duckdb.OutOfMemoryException as error:
                said = str(error).splitlines()[0]
                raise UsageError(
                    f"DuckDB needs more than {memory_limit} of memory ({said}); raise memory_limit"
                ) from None
            except duckdb.Error as error:
                raise DataError(f"DuckDB can't read the sources as declared: {error}; {AGAIN}") from error


@dataclass(frozen=True)
class ParquetSource:
    """Records of entities in parquet files, each known from its timestamp on."""

    name: str
    files: tuple[str, ...]
    timestamp: str
    created: str | None = None
    """Of two records of one entity with the same timestamp, the one created later counts."""

    def check(self, connection: duckdb.DuckDBPyConnection, columns: Iterable[str]) -> None:
        """Look into the first file's schema.

        Raises:
            DataError: no parquet, a column is not there, or a timestamp is none.
        """
        types = self.types(connection)
        times = [name for name in (self.timestamp, self.created) if name]
        for column in [*times, *columns]:
            if column not in types:
                raise DataError(
                    f"source {self.name} ({self.files[0]}): expected the column {column}, "
                    f"got {', '.join(sorted(types))}; correct the definition, or {AGAIN}"
                )
        for column in times:
            if not types[column].startswith(TIMES):
                raise DataError(
                    f"source {self.name} ({self.files[0]}), column {column}: expected a timestamp, "
                    f"got {types[column]}; {AGAIN}"
                )

    def types(self, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
        """Column -> DuckDB's name of its type.

        Raises:
            DataError: a file is no parquet.
        """
        try:
            rows = connection.execute(f"DESCRIBE SELECT * FROM {self.scan}").fetchall()
        except duckdb.Error as error:
            raise DataError(f"source {self.name} ({self.files[0]}): expected parquet; got {error}; {AGAIN}") from None
        return {row[0]: row[1] for row in rows if row[0] not in (FILE, LINE)}

    @property
    def scan(self) -> str:
        files = ", ".join(literal(glob.escape(file)) for file in self.files)
        return f"read_parquet([{files}], filename = {literal(FILE)}, file_row_number = true)"

    @property
    def time(self) -> str:
        return utc(self.timestamp)

    @property
    def moment(self) -> str:
        """What tells two records of one entity apart, but for where they stand."""
        created = utc(self.created) if self.created else "NULL"
        return f"{{'t': {self.time}, 'c': coalesce({created}, '-infinity'::TIMESTAMPTZ)}}"

    @property
    def later_first(self) -> str:
        """Order of records with the same timestamp: the created later, then the one further down in the later file."""
        created = f"{utc(self.created)} DESC NULLS LAST, " if self.created else ""
        return f"{created}{FILE} DESC, {LINE} DESC"

    def latest(self, keys: Iterable[str], columns: Mapping[str, str], where: str) -> str:
        """The latest record of every entity among those `where` lets through; `columns` is alias -> column.

        Where the rows stand is found first: to sort whole rows takes a third longer.
        """
        chosen = ", ".join(f"{quoted(column)} AS {quoted(alias)}" for alias, column in columns.items())
        entity = ", ".join(map(quoted, keys))
        order = f"PARTITION BY {entity} ORDER BY {self.time} DESC, {self.later_first}"
        rows = f"SELECT {FILE}, {LINE} FROM {self.scan} WHERE {where} QUALIFY row_number() OVER ({order}) = 1"
        return f"SELECT {chosen} FROM {self.scan} WHERE {where} AND ({FILE}, {LINE}) IN ({rows})"


def parquet_files(name: str, path: str) -> tuple[str, ...]:
    """The files of a source, sorted, as absolute paths.

    Raises:
        MissingStepError: there is none.
    """
    place = Path(path).absolute()
    pattern = glob.escape(str(place)) + "/*.parquet" if place.is_dir() else str(place)
    files = [str(place)] if place.is_file() else sorted(file for file in glob.glob(pattern) if os.path.isfile(file))
    if not files:
        raise MissingStepError(f"the file of source {name} is not there ({path}); run `potluck ingest` first")
    return tuple(files)


def quoted(name: str) -> str:
    """A name as SQL's identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as SQL's literal."""
    return "'" + text.replace("'", "''") + "'"


def utc(column: str) -> str:
    """A timestamp column in UTC, in microseconds."""
    return f"CAST({quoted(column)} AS TIMESTAMPTZ)"


def moment(at: datetime) -> str:
    """A moment as SQL's literal."""
    return f"TIMESTAMPTZ '{at.isoformat()}'"
