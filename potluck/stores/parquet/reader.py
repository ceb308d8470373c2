"""Parquet sources as DuckDB reads them: a file, a folder of files or a glob, with timestamps in
UTC."""

import glob
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from potluck.contract.errors import DataError, MissingStepError, UsageError
from potluck.contract.fields import DType

FILE, LINE = "potluck_file", "file_row_number"
TIMES = ("TIMESTAMP", "DATE")
KEY_TYPES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("int64", "int32"), ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")),
    "string": ("VARCHAR",),
}
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
HELD_AS: Mapping[DType, tuple[str, ...]] = {
    "int64": (*WHOLE, "FLOAT", "DOUBLE"),
    "int32": (*WHOLE, "FLOAT", "DOUBLE"),
    "float64": (*WHOLE, "UBIGINT", "FLOAT", "DOUBLE"),
    "string": ("VARCHAR",),
    "bool": ("BOOLEAN",),
}
"""DuckDB's types of a column that casts to a dtype without loss; fractions in whole numbers are
looked for apart."""
AGAIN = "write the source again (`potluck ingest`)"


@contextmanager
def connected(
    *sources: "ParquetSource",
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
def told_in_words(*sources: "ParquetSource") -> Iterator[None]:
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
        read = (
            ", ".join(f"source {source.name} ({source.files[0]})" for source in sources)
            or "the sources"
        )
        raise DataError(
            f"DuckDB can't read {read} as declared: {first_line(error)}; {AGAIN}"
        ) from error


def no_parquet(source: str, file: str, error: Exception) -> DataError:
    return DataError(
        f"source {source} ({file}): expected parquet; got {first_line(error)}; {AGAIN}"
    )


def first_line(error: Exception) -> str:
    """What an error says before it shows a query or a stack."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def read_schema(source: str, file: str) -> pa.Schema:
    """What a source's file holds, as Arrow names it.

    Raises:
        DataError: it is no parquet.
    """
    try:
        return pq.read_schema(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise no_parquet(source, file, error) from None


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
        for column in dict.fromkeys([*self.times, *columns]):
            if column not in types:
                raise DataError(
                    f"source {self.name} ({self.files[0]}): expected the column {column}, "
                    f"got {', '.join(sorted(types))}; correct the definition, or {AGAIN}"
                )
        for column in self.times:
            if not types[column].startswith(TIMES):
                raise DataError(
                    f"source {self.name} ({self.files[0]}), column {column}: expected a timestamp, "
                    f"got {types[column]}; {AGAIN}"
                )

    def check_key(self, connection: duckdb.DuckDBPyConnection, column: str, dtype: str) -> None:
        """Compare a key's type with the declared one.

        Raises:
            DataError: it is another one.
        """
        held = self.types(connection)[column]
        if held not in KEY_TYPES[dtype]:
            raise DataError(
                f"source {self.name}, column {column}: expected a key of type {dtype}, got {held}; "
                f"{AGAIN}"
            )

    def types(self, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
        """Column -> DuckDB's name of its type.

        Raises:
            DataError: a file is no parquet.
        """
        try:
            rows = connection.execute(f"DESCRIBE SELECT * FROM {self.scan}").fetchall()
        except duckdb.Error as error:
            raise no_parquet(self.name, self.files[0], error) from None
        return {row[0]: row[1] for row in rows if row[0] not in (FILE, LINE)}

    def has_fractions(self, connection: duckdb.DuckDBPyConnection, column: str) -> bool:
        """Whether a column of numbers holds some that are not whole."""
        name = quoted(column)
        found = connection.execute(
            f"SELECT count(*) FROM {self.scan} WHERE {name} <> trunc({name})"
        ).fetchone()
        return bool(found and found[0])

    @property
    def scan(self) -> str:
        files = ", ".join(literal(glob.escape(file)) for file in self.files)
        return f"read_parquet([{files}], filename = {literal(FILE)}, file_row_number = true)"

    @property
    def times(self) -> list[str]:
        return [name for name in (self.timestamp, self.created) if name]

    @property
    def time(self) -> str:
        return utc(self.timestamp)

    @property
    def moment(self) -> str:
        """The timestamps of a record: of one entity's the latest counts, then the one created
        last."""
        created = utc(self.created) if self.created else "NULL"
        return f"{{'time': {self.time}, 'created': coalesce({created}, '-infinity'::TIMESTAMPTZ)}}"

    @property
    def file(self) -> str:
        """Which file a record stands in; a constant where there is one only, as texts are slow to
        compare."""
        return FILE if len(self.files) > 1 else "0"

    @property
    def later_first(self) -> str:
        """Order of records with the same timestamp: the created later, then the one further down in
        the later file."""
        created = [f"{utc(self.created)} DESC NULLS LAST"] if self.created else []
        return ", ".join([*created, f"{self.file} DESC", f"{LINE} DESC"])

    def latest(self, keys: Iterable[str], columns: Mapping[str, str], where: str) -> str:
        """The latest record of every entity among those `where` lets through; `columns` is alias ->
        column.

        Where they stand is found first: to rank whole rows takes a third longer.
        """
        chosen = ", ".join(
            f"{quoted(column)} AS {quoted(alias)}" for alias, column in columns.items()
        )
        entity = ", ".join(map(quoted, keys)) or "true"
        order = f"PARTITION BY {entity} ORDER BY {self.time} DESC, {self.later_first}"
        rows = f"""SELECT {self.file}, {LINE} FROM {self.scan} WHERE {where}
            QUALIFY row_number() OVER ({order}) = 1"""
        return (
            f"SELECT {chosen} FROM {self.scan} WHERE {where} AND ({self.file}, {LINE}) IN ({rows})"
        )

    def outranked(self, keys: Iterable[str]) -> str:
        """Where records stand in whose place another one of their entity and timestamp counts:
        mostly nowhere."""
        moment = ", ".join([*map(quoted, keys), self.time])
        tied = f"SELECT {moment} FROM {self.scan} GROUP BY {moment} HAVING count(*) > 1"
        order = f"PARTITION BY {moment} ORDER BY {self.later_first}"
        rows = f"SELECT {self.file}, {LINE} FROM {self.scan} WHERE ({moment}) IN ({tied})"
        return f"{rows} QUALIFY row_number() OVER ({order}) > 1"


def parquet_files(name: str, path: str) -> tuple[str, ...]:
    """The files of a source, sorted, as absolute paths.

    Raises:
        MissingStepError: there is none.
    """
    place = Path(path).absolute()
    if place.is_file():
        return (str(place),)
    pattern = f"{glob.escape(str(place))}/*.parquet" if place.is_dir() else str(place)
    files = tuple(sorted(filter(os.path.isfile, glob.glob(pattern, recursive=True))))
    if not files:
        raise MissingStepError(
            f"the file of source {name} is not there ({path}); run `potluck ingest` first, "
            "or `potluck apply` if the home was moved"
        )
    return files


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
