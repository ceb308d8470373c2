"""What the nightly run reads: every entity with its features as they were known at a date, shard by shard.

`Population.of` asks Feast's registry once. What it answers is plain data: another process or machine reads its shards
with DuckDB alone.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.errors import DataError, DefinitionError, MissingStepError
from potluck.contract.features import FeatureContract, Field
from potluck.stores.arrow_types import cast
from potluck.stores.parquet import EPOCH, ParquetSource, connected, moment, quoted

if TYPE_CHECKING:
    from feast import FeatureStore
    from feast.data_source import DataSource

COUNT = """
WITH entities AS (
    SELECT k, count(*) AS rows, count(*) FILTER (visible) AS visible, max(moment, 2) FILTER (visible) AS latest
    FROM ({rows}) GROUP BY k
), told AS (SELECT *, rows > visible AS late, len(latest) = 2 AND latest[1] = latest[2] AS tied FROM entities)
SELECT count(*) FILTER (visible > 0), sum(rows - visible)::BIGINT, min(k, {most}) FILTER (late),
    count(*) FILTER (tied), min(k, {most}) FILTER (tied)
FROM told
"""
EXAMPLES = 5


@dataclass(frozen=True)
class Shard:
    """Entities whose keys lie in a range, both ends included."""

    number: int
    rows: int
    first: int | str
    last: int | str


@dataclass(frozen=True)
class Some:
    """How many, and the smallest keys of them."""

    count: int
    keys: tuple[int | str, ...] = ()

    def and_more(self, count: int | None, keys: Iterable[int | str] | None) -> "Some":
        """With those of a higher range."""
        return Some(self.count + (count or 0), (*self.keys, *(keys or ()))[:EXAMPLES])


@dataclass(frozen=True)
class Counted:
    """What a population holds at its date, and what of it does not count."""

    entities: int
    invisible: Some
    """Rows dated after the date (or before 1970, or not at all)."""
    without_key: Some
    """Rows whose key is null."""
    ambiguous: Some
    """Entities with more than one latest row: the one further down in the file counts."""


@dataclass(frozen=True)
class Part:
    """Fields that come from one source."""

    source: ParquetSource
    key: str
    columns: tuple[tuple[Field, str], ...]
    """Each field, and its column in the source."""
    owner: str
    """Whom to name where a column does not hold what was declared."""
    until: datetime
    since: datetime | None
    """Older records don't count; None lets every age through."""

    @property
    def visible(self) -> str:
        """Whether a record counts; unknown where it has no timestamp."""
        since = "" if self.since is None else f" AND {self.source.time} >= {moment(self.since)}"
        return f"({self.source.time} <= {moment(self.until)}{since})"

    def read(self, connection: duckdb.DuckDBPyConnection, shard: Shard) -> pa.Table:
        """The latest visible record of each of the shard's entities: `k`, and the fields, numbered (`c0`, `c1`, ...)
        as they may bear any name. To join and sort wide rows takes DuckDB longer than to find them."""
        columns = {f"c{place}": column for place, (_, column) in enumerate(self.columns)}
        where = f"{quoted(self.key)} BETWEEN $first AND $last AND {self.visible}"
        query = self.source.latest([self.key], {"k": self.key, **columns}, where)
        return connection.execute(query, {"first": shard.first, "last": shard.last}).to_arrow_table()


@dataclass(frozen=True)
class Population:
    """Every entity of a service with its features as they were known at a date, shard by shard."""

    key: Field
    as_of: datetime
    parts: tuple[Part, ...]
    """The population's own source, then one a feature view."""
    threads: int = 1
    memory_limit: str = "512MB"
    """Of DuckDB, beside the shard that is answered; more spills to the disk."""

    @classmethod
    def of(
        cls,
        store: "FeatureStore",
        contract: FeatureContract,
        as_of: datetime,
        threads: int = 1,
        memory_limit: str = "512MB",
    ) -> "Population":
        """Resolve files, keys, timestamps and lifetimes from the registry.

        Raises:
            DefinitionError: the service has no single join key or no population, or a source is no parquet file.
            MissingStepError: a source's file is not there.
            DataError: a source has not the columns that were declared.
        """
        if len(contract.keys) != 1 or contract.population is None:
            raise DefinitionError(f"{contract.service} needs one join key and the tag population to be scored by night")
        own = own_part(store, contract, contract.population, as_of)
        parts = (own, *(view_part(store, contract, view.name, as_of) for view in contract.views))
        with connected() as connection:
            for part in parts:
                check(part, contract.keys[0], connection)
        return cls(contract.keys[0], as_of, parts, threads, memory_limit)

    def shards(self, rows: int = 50_000) -> list[Shard]:
        """Ranges of the key with so many entities each, in order.

        Raises:
            MissingStepError: the population is empty at its date.
        """
        own, key = self.parts[0], quoted(self.parts[0].key)
        keys = f"SELECT DISTINCT {key} AS k FROM {own.source.scan} WHERE {key} IS NOT NULL AND {own.visible} ORDER BY k"
        numbered = f"SELECT k, (row_number() OVER () - 1) // $rows AS number FROM ({keys})"
        query = f"SELECT number, count(*) AS rows, min(k) AS first, max(k) AS last FROM ({numbered}) GROUP BY number"
        with connected(self.threads, self.memory_limit) as connection:
            found = connection.execute(f"{query} ORDER BY number", {"rows": rows}).to_arrow_table().to_pylist()
        if not found:
            raise MissingStepError(
                f"{own.source.name} holds no row up to {self.as_of:%Y-%m-%d}; ingest, or take a later date"
            )
        return [Shard(**row) for row in found]

    def read(self, shard: Shard) -> pa.RecordBatch:
        """The shard's entities by key: the key, then every input of the contract; a missing value is null.

        Raises:
            DataError: a column does not hold what was declared, or the files are no longer those that were cut.
        """
        with connected(self.threads, self.memory_limit) as connection:
            own, *views = (part.read(connection, shard) for part in self.parts)
        if own.num_rows != shard.rows:
            raise DataError(
                f"source {self.parts[0].source.name} changed while it was read: expected {shard.rows} entities from "
                f"{shard.first!r} to {shard.last!r}, got {own.num_rows}; run again"
            )
        owner = self.parts[0].owner
        known = [cast(table["k"], self.key, owner).combine_chunks() for table in (own, *views)]
        keys = known[0].sort()
        columns = {self.key.name: keys}
        for part, table, has in zip(self.parts, (own, *views), known, strict=True):
            places = None if has.equals(keys) else pc.index_in(keys, has)
            for number, (field, _) in enumerate(part.columns):
                column = cast(table[f"c{number}"], field, part.owner).combine_chunks()
                columns[field.name] = column if places is None else column.take(places)
        return pa.RecordBatch.from_pydict(columns)

    def counted(self) -> Counted:
        """Count entities, and rows that don't count or could stand for another; a range of keys at a time.

        Raises:
            MissingStepError: the population is empty at its date.
        """
        own, key = self.parts[0], quoted(self.parts[0].key)
        chosen = f"SELECT {key} AS k, {own.visible} AS visible, {own.source.moment} AS moment FROM {own.source.scan}"
        entities, invisible, ambiguous = 0, Some(0), Some(0)
        ends = [None, *(shard.last for shard in self.shards()[:-1]), None]
        with connected(self.threads, self.memory_limit) as connection:
            for above, upto in pairwise(ends):
                bounds = {name: end for name, end in (("above", above), ("upto", upto)) if end is not None}
                within = [f"{key} {'>' if name == 'above' else '<='} ${name}" for name in bounds]
                rows = f"{chosen} WHERE {' AND '.join([f'{key} IS NOT NULL', *within])}"
                found = connection.execute(COUNT.format(rows=rows, most=EXAMPLES), bounds).fetchone()
                entities, invisible = entities + found[0], invisible.and_more(found[1], found[2])
                ambiguous = ambiguous.and_more(found[3], found[4])
            nulls = connection.execute(f"SELECT count(*) FROM {own.source.scan} WHERE {key} IS NULL").fetchone()
        return Counted(entities, invisible, Some(nulls[0]), ambiguous)

    def fingerprint(self) -> str:
        """sha256 (hex) over the content of every file, source by source."""
        whole = hashlib.sha256()
        for part in self.parts:
            for name in part.source.files:
                with open(name, "rb") as file:
                    whole.update(hashlib.file_digest(file, "sha256").digest())
        return whole.hexdigest()


def own_part(store: "FeatureStore", contract: FeatureContract, name: str, as_of: datetime) -> Part:
    """The request fields, from the population's latest rows."""
    from potluck.stores.offline import data_source

    columns = tuple((field, field.name) for field in contract.request)
    return Part(local(data_source(store, name)), contract.keys[0].name, columns, name, as_of, EPOCH)


def view_part(store: "FeatureStore", contract: FeatureContract, name: str, as_of: datetime) -> Part:
    """The looked-up fields of one feature view."""
    from potluck.stores.offline import file_columns

    view, key = store.get_feature_view(name), contract.keys[0].name
    column = file_columns(view.batch_source)
    features = {feature for known in contract.views if known.name == name for feature in known.features}
    columns = tuple((field, column.get(field.name, field.name)) for field in contract.online if field.name in features)
    since = as_of - view.ttl if view.ttl else None
    return Part(local(view.batch_source), column.get(key, key), columns, contract.service, as_of, since)


def local(source: "DataSource") -> ParquetSource:
    from potluck.stores.offline import parquet_source

    found = parquet_source(source)
    if found is None:
        raise DefinitionError(
            f"source {source.name} can't be read by the nightly run: expected a FileSource of parquet on a mounted "
            f"disk, got {type(source).__name__}"
        )
    return found


def check(part: Part, key: Field, connection: duckdb.DuckDBPyConnection) -> None:
    part.source.check(connection, [part.key, *(column for _, column in part.columns)])
    part.source.check_key(connection, part.key, key.dtype)
