"""What the nightly run reads: every entity with its features as they were known at a date, shard by
shard.

`Population.of` asks Feast's registry once. What it answers is plain data: another process or
machine reads its shards with DuckDB alone.
"""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.accounting import Account
from potluck.contract.champion import Champion
from potluck.contract.errors import DataError, DefinitionError, MissingStepError, Refused
from potluck.contract.fields import Field
from potluck.stores.parquet.arrow_types import cast
from potluck.stores.parquet.connection import connected
from potluck.stores.parquet.population_account import account_of
from potluck.stores.parquet.shard import Shard
from potluck.stores.parquet.source import ParquetSource
from potluck.stores.parquet.source_fields import LAST_RUN_STAYS, Part, ViewPart, own_part, view_part
from potluck.stores.parquet.sql import quoted

if TYPE_CHECKING:
    from feast import FeatureStore


@dataclass(frozen=True)
class ShardRows:
    """A shard's entities by key."""

    batch: pa.RecordBatch
    """The key, then every input of the contract; a missing value is null."""
    known: pa.BooleanArray
    """Whether any feature view holds a record of the entity, however old."""


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
        champion: Champion,
        as_of: datetime,
        threads: int = 1,
        memory_limit: str = "512MB",
    ) -> "Population":
        """Resolve files, keys and timestamps from the registry; fields and lifetimes are the
        champion's.

        Raises:
            DefinitionError: the service has no single join key or no population, or a source is no
                parquet file.
            MissingStepError: a source's file is not there.
            DataError: a source has not the columns that were declared.
            Refused: the champion looks up what the registry or a view's source does not hold any
                more.
        """
        contract = champion.contract
        if len(contract.keys) != 1 or contract.population is None:
            raise DefinitionError(
                f"{contract.service} needs one join key and the tag population to be scored by "
                "night"
            )
        own = own_part(store, contract, contract.population, as_of)
        views = [view_part(store, champion, view, as_of) for view in contract.views]
        population = cls(contract.keys[0], as_of, (own, *views))
        with connected(*population.sources) as connection:
            for part in population.parts:
                part.check(connection, population.key)
        return replace(population, threads=threads, memory_limit=memory_limit)

    @property
    def sources(self) -> list[ParquetSource]:
        return [part.source for part in self.parts]

    def connected(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection with the limits of the nightly run."""
        return connected(*self.sources, threads=self.threads, memory_limit=self.memory_limit)

    def shards(self, rows: int = 50_000) -> list[Shard]:
        """Ranges of the key with so many entities each, in order.

        Raises:
            MissingStepError: no row of the population counts at its date.
        """
        own, key = self.parts[0], quoted(self.parts[0].key)
        keys = f"""SELECT DISTINCT {key} AS k FROM {own.source.scan}
            WHERE {key} IS NOT NULL AND {own.visible} ORDER BY k"""
        numbered = f"SELECT k, (row_number() OVER () - 1) // $rows AS number FROM ({keys})"
        query = f"""SELECT number, count(*) AS rows, min(k) AS first, max(k) AS last
            FROM ({numbered}) GROUP BY number"""
        with self.connected() as connection:
            answer = connection.execute(f"{query} ORDER BY number", {"rows": rows})
            found = answer.to_arrow_table().to_pylist()
            if not found:
                raise MissingStepError(
                    f"{own.source.name} holds no row up to {self.as_of:%Y-%m-%d} that counts "
                    f"({account_of(own, connection).text()}); correct the source and ingest, or "
                    "take a later --as-of"
                )
        return [Shard(**row) for row in found]

    def read(self, shard: Shard) -> ShardRows:
        """The shard's entities, with what is known of each.

        Raises:
            DataError: a column does not hold what was declared, or the files are no longer those
                that were cut.
            Refused: a feature view's column does not hold what the champion looks up.
        """
        with self.connected() as connection:
            tables = [part.read(connection, shard) for part in self.parts]
        own = tables[0]
        if own.num_rows != shard.rows:
            raise DataError(
                f"source {self.parts[0].source.name} changed while it was read: expected "
                f"{shard.rows} entities from {shard.first!r} to {shard.last!r}, got "
                f"{own.num_rows}; run again"
            )
        keys = self.keys_of(own).sort()
        columns = {self.key.name: keys}
        # Without views to ask, every entity of the population counts as known.
        known = pa.repeat(len(tables) == 1, len(keys))
        for part, table in zip(self.parts, tables, strict=True):
            has = self.keys_of(table)
            # Most tables hold the same keys in the same order, which spares looking each one up.
            places = None if has.equals(keys) else pc.index_in(keys, has)
            if part is not self.parts[0]:
                known = pc.or_(known, found_at(places, len(keys)))
            columns |= fields_of(part, table, fresh_places(table, places))
        return ShardRows(pa.RecordBatch.from_pydict(columns), known)

    def keys_of(self, table: pa.Table) -> pa.Array:
        return cast(table["k"], self.key, self.parts[0].owner).combine_chunks()

    def account(self, shards: Sequence[Shard]) -> Account:
        """The rows of the population's source: one of each entity is kept."""
        with self.connected() as connection:
            return account_of(self.parts[0], connection, [shard.last for shard in shards[:-1]])

    def check_views_hold_records(self) -> None:
        """Look whether the feature views know any entity at all; none is asked to where there is no
        view.

        Raises:
            Refused: no view holds a record up to the date.
        """
        views = self.parts[1:]
        with self.connected() as connection:
            for part in views:
                counts = f"{quoted(part.key)} IS NOT NULL AND {part.visible}"
                query = f"SELECT 1 FROM {part.source.scan} WHERE {counts} LIMIT 1"
                if connection.execute(query).fetchone():
                    return
            found = dict.fromkeys(account_of(part, connection).text() for part in views)
        if found:
            names = ", ".join(part.owner for part in views)
            raise Refused(
                f"none of the feature views ({names}) holds a "
                f"record up to {self.as_of.isoformat()}, so that the feature store knows no entity "
                f"({'; '.join(found)}); a record counts from its date on: date the records in "
                "ingest.py when they were known and run `potluck ingest` again, or take a later "
                f"--as-of; {LAST_RUN_STAYS}"
            )

    def fingerprint(self) -> str:
        """sha256 (hex) over the content of every file, and which columns are read of it, source by
        source."""
        whole = hashlib.sha256()
        for part in self.parts:
            columns = [column for _, column in part.columns]
            whole.update(repr((part.key, part.source.times, columns)).encode())
            for name in part.source.files:
                with open(name, "rb") as file:
                    whole.update(hashlib.file_digest(file, "sha256").digest())
        return whole.hexdigest()


def found_at(places: pa.Array | None, count: int) -> pa.BooleanArray:
    """Whether a table holds each of the entities; without places it holds them all."""
    return pa.repeat(True, count) if places is None else places.is_valid()


def fresh_places(table: pa.Table, places: pa.Array | None) -> pa.Array | None:
    """Where each entity's values stand; null where there are none, or where they are too old."""
    if "fresh" not in table.column_names or pc.all(table["fresh"]).as_py() is not False:
        return places
    fresh = table["fresh"].combine_chunks()
    if places is None:
        places = pa.array(np.arange(len(fresh)))
    return pc.if_else(fresh.take(places), places, None)


def fields_of(part: Part, table: pa.Table, places: pa.Array | None) -> dict[str, pa.Array]:
    """Field -> its column, in its declared type."""
    columns = {}
    for number, (field, _) in enumerate(part.columns):
        try:
            column = cast(table[f"c{number}"], field, part.owner).combine_chunks()
        except DataError as error:
            if isinstance(part, ViewPart):
                raise part.lacks(field, f"holds another type ({error})") from None
            raise
        columns[field.name] = column if places is None else column.take(places)
    return columns
