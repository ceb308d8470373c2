"""What the nightly run reads: every entity with its features as they were known at a date, shard by shard.

A shard is a range of the key. Each source is read within the range alone, which parquet's statistics make cheap where
rows lie in the order of their keys; so memory does not grow with the number of entities. To read takes DuckDB and Arrow
alone, so another process or machine can.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureStore
from feast.data_source import DataSource
from feast.infra.offline_stores.file_source import FileSource

from potluck.contract.errors import DataError, DefinitionError
from potluck.contract.features import FeatureContract, Field
from potluck.stores.offline import EPOCH, cast, data_source, present

KEY = "potluck_key"
NAMED = 5
"""Rows that don't count, of which the keys are told."""
READING = {"threads": 1, "preserve_insertion_order": False}
SURVEYING = {**READING, "memory_limit": "512MB"}
HASHED_BYTES = 1 << 20


@dataclass(frozen=True)
class Shard:
    """A range of the key."""

    number: int
    rows: int
    """Entities in it."""
    first: int | str
    last: int | str
    """Included, as is the first."""


@dataclass(frozen=True)
class Unread:
    """Rows of the population's source that don't count."""

    reason: str
    count: int
    first: list[str]


@dataclass(frozen=True)
class Survey:
    """What the population's source holds at the date."""

    entities: int
    unread: list[Unread]
    shards: list[Shard]


@dataclass(frozen=True)
class Source:
    """A parquet source, and what is taken from it."""

    name: str
    path: str
    key: str
    """The column that holds the join key."""
    time: str
    created: str | None
    columns: tuple[tuple[Field, str], ...]
    """What is read, and the column that holds it."""
    ttl_seconds: int = 0

    @property
    def files(self) -> list[Path]:
        path = Path(self.path)
        return sorted(path.glob("*.parquet")) if path.is_dir() else [path]

    @property
    def relation(self) -> str:
        return f"read_parquet([{', '.join(text(str(file)) for file in self.files)}], union_by_name = true)"

    @property
    def moment(self) -> str:
        """Microseconds since 1970, of whatever kind of timestamp; one without a zone is UTC's."""
        return f"epoch_us({name(self.time)})"

    def visible(self) -> str:
        """The condition for rows that were known at `$as_of`."""
        oldest = f" AND {self.moment} >= $as_of - {self.ttl_seconds * 1_000_000}" if self.ttl_seconds else ""
        return f"{name(self.key)} IS NOT NULL AND {self.moment} <= $as_of{oldest}"

    def latest(self, ordered: bool) -> str:
        """The latest visible row of each entity in `$first`..`$last`, sorted by key.

        Args:
            ordered: decide among rows of the same moment by all that they hold; takes longer.
        """
        columns = ", ".join(f"{name(column)} AS {name(field.name)}" for field, column in self.columns)
        rows = (
            f"SELECT {name(self.key)} AS {KEY}, {self.moment} AS potluck_time{', ' + columns if columns else ''}"
            f"{f', {name(self.created)} AS potluck_created' if self.created else ''} FROM {self.relation} "
            f"WHERE {name(self.key)} BETWEEN $first AND $last AND {self.visible()}"
        )
        if not ordered:
            latest = f"SELECT {KEY}, max(potluck_time) AS potluck_time FROM seen GROUP BY {KEY}"
            chosen = f"latest AS ({latest}) SELECT seen.* FROM seen JOIN latest USING ({KEY}, potluck_time)"
            return f"WITH seen AS MATERIALIZED ({rows}), {chosen} ORDER BY {KEY}"
        newest = ["potluck_time DESC", *(["potluck_created DESC"] if self.created else [])]
        among = ", ".join([*newest, *(name(field.name) for field, _ in self.columns)])
        only = f"QUALIFY row_number() OVER (PARTITION BY {KEY} ORDER BY {among}) = 1"
        return f"WITH seen AS ({rows}) SELECT * FROM seen {only} ORDER BY {KEY}"

    def check(self) -> None:
        """
        Raises:
            DataError: the source can't be read, or lacks a column.
        """
        with reading(self.name), duckdb.connect(config=READING) as connection:
            found = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {self.relation}").fetchall()]
        wanted = [self.key, self.time, *filter(None, [self.created]), *(column for _, column in self.columns)]
        if lacking := [column for column in wanted if column not in found]:
            raise DataError(
                f"source {self.name} lacks the column {', '.join(lacking)}; expected what the definitions declare, "
                f"got {', '.join(found)}; run `potluck ingest` again"
            )


class Population:
    """Every entity of a service as of a date."""

    def __init__(self, contract: FeatureContract, as_of: datetime, population: Source, views: Sequence[Source]) -> None:
        self.contract, self.as_of, self.population, self.views = contract, as_of, population, list(views)

    @classmethod
    def of(cls, store: FeatureStore, contract: FeatureContract, as_of: datetime) -> Self:
        """
        Raises:
            DefinitionError: the service has no single join key or no population, or a source is no parquet file.
            MissingStepError: a source's file was never written.
            DataError: a source can't be read, or lacks a column.
        """
        if len(contract.keys) != 1 or contract.population is None:
            raise DefinitionError(f"{contract.service} needs one join key and the tag population to be scored by night")
        (key,) = contract.keys
        source = data_source(store, contract.population)
        population = source_of(source, key.name, contract.request, 0)
        views, online = [], {field.name: field for field in contract.online}
        for view in contract.views:
            fields = [online[name] for name in view.features if name in online]
            origin = present(store.get_feature_view(view.name).batch_source)
            views.append(source_of(origin, key.name, fields, view.ttl_seconds))
        for each in (population, *views):
            each.check()
        return cls(contract, as_of, population, views)

    def survey(self, rows: int) -> Survey:
        """Look all keys over, and divide them into shards.

        Args:
            rows: entities of a shard.

        Raises:
            DataError: the source can't be read as declared.
        """
        source = self.population
        key = name(source.key)
        moments = (
            f"SELECT {key} AS k, {source.moment} AS t, count(*) AS n FROM {source.relation} WHERE {source.visible()} "
        )
        latest = f"SELECT k, arg_max(n, t) AS n FROM ({moments} GROUP BY 1, 2) GROUP BY k ORDER BY k"
        shards, twice, first_twice = list[Shard](), 0, list[str]()
        with self.connected(source.name, SURVEYING) as connection:
            batches = connection.execute(latest, {"as_of": micros(self.as_of)}).to_arrow_reader(rows)
            for keys in rechunked(batches, rows):
                ends = keys.slice(0, 1)["k"].to_pylist() + keys.slice(keys.num_rows - 1)["k"].to_pylist()
                shards.append(Shard(len(shards), keys.num_rows, *ends))
                double = keys.filter(pc.greater(keys["n"], 1))
                twice += double.num_rows
                first_twice += [str(entity) for entity in double["k"].slice(0, NAMED - len(first_twice)).to_pylist()]
            later = self.count(connection, f"{source.moment} > $as_of", as_of=micros(self.as_of))
            keyless = self.count(connection, f"{key} IS NULL")
        unread = [
            Unread("dated after the as-of date", *later),
            Unread("no key", *keyless),
            Unread(
                "another row of the entity has the same latest date; always the same one counts", twice, first_twice
            ),
        ]
        return Survey(sum(shard.rows for shard in shards), [each for each in unread if each.count], shards)

    def count(self, connection: duckdb.DuckDBPyConnection, condition: str, **values: Any) -> tuple[int, list[str]]:
        key, relation = name(self.population.key), self.population.relation
        (count,) = connection.execute(f"SELECT count(*) FROM {relation} WHERE {condition}", values).fetchone() or (0,)
        rows = f"SELECT {key} FROM {relation} WHERE {condition} ORDER BY {key} LIMIT {NAMED}"
        return count, [str(entity) for (entity,) in connection.execute(rows, values).fetchall()] if count else []

    def read(self, shard: Shard) -> pa.RecordBatch:
        """A shard's entities: the key, then every input of the contract in its declared type, sorted by key.

        Raises:
            DataError: a source can't be read as declared.
        """
        (key,), rows = self.contract.keys, self.latest(self.population, shard)
        columns = {key.name: cast(rows[KEY], key, self.population.name), **typed(rows, self.population)}
        for view in self.views:
            known = self.latest(view, shard)
            columns |= typed(known.take(pc.index_in(rows[KEY], value_set=known[KEY].combine_chunks())), view)
        names = [field.name for field in (key, *self.contract.inputs)]
        return pa.RecordBatch.from_arrays([columns[name].combine_chunks() for name in names], names=names)

    def latest(self, source: Source, shard: Shard) -> pa.Table:
        """The latest visible row of each entity; which of several of the same moment is decided once and for all."""
        values = {"first": shard.first, "last": shard.last, "as_of": micros(self.as_of)}
        with self.connected(source.name, READING) as connection:
            rows = connection.execute(source.latest(ordered=False), values).to_arrow_table()
            if pc.count_distinct(rows[KEY]).as_py() < rows.num_rows:
                rows = connection.execute(source.latest(ordered=True), values).to_arrow_table()
        return rows

    @contextmanager
    def connected(self, source: str, config: dict[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
        with reading(source), duckdb.connect(config=config) as connection:
            yield connection

    def fingerprint(self) -> str:
        """sha256 over the content of all files."""
        digest = hashlib.sha256()
        for file in (file for source in (self.population, *self.views) for file in source.files):
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
        return digest.hexdigest()


def typed(rows: pa.Table, source: Source) -> dict[str, pa.ChunkedArray]:
    """A source's columns in their declared types."""
    return {field.name: cast(rows[field.name], field, source.name) for field, _ in source.columns}


def source_of(source: DataSource, key: str, fields: Sequence[Field], ttl_seconds: int) -> Source:
    if not isinstance(source, FileSource) or "://" in source.path:
        raise DefinitionError(f"expected source {source.name} to be a parquet file or folder of this file system")
    back = {feature: column for column, feature in (source.field_mapping or {}).items()}
    columns = tuple((field, back.get(field.name, field.name)) for field in fields)
    created = source.created_timestamp_column or None
    return Source(source.name, source.path, back.get(key, key), source.timestamp_field, created, columns, ttl_seconds)


@contextmanager
def reading(source: str) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"source {source} can't be read as declared: {reason}; run `potluck ingest` again") from None


def rechunked(batches: pa.RecordBatchReader, rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of so many, but for the last."""
    waiting = batches.schema.empty_table()
    for batch in batches:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while waiting.num_rows >= rows:
            yield waiting.slice(0, rows)
            waiting = waiting.slice(rows)
    if waiting.num_rows:
        yield waiting


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def name(identifier: str) -> str:
    """A name as DuckDB takes it, whatever it holds."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
