"""Parquet sources as DuckDB reads them: a file, a folder of files or a glob, with timestamps in
UTC."""

import glob
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from potluck.contract.errors import DataError, MissingStepError
from potluck.contract.fields import DType
from potluck.stores.parquet.read_errors import AGAIN, no_parquet
from potluck.stores.parquet.sql import literal, quoted, utc

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
        chosen = [f"{quoted(column)} AS {quoted(alias)}" for alias, column in columns.items()]
        entity = ", ".join(map(quoted, keys)) or "true"
        order = f"PARTITION BY {entity} ORDER BY {self.time} DESC, {self.later_first}"
        rows = f"""SELECT {self.file}, {LINE} FROM {self.scan} WHERE {where}
            QUALIFY row_number() OVER ({order}) = 1"""
        within = f"{where} AND ({self.file}, {LINE}) IN ({rows})"
        return f"SELECT {', '.join(chosen)} FROM {self.scan} WHERE {within}"

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
