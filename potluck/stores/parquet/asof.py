"""The point-in-time join of entity rows with feature views, as DuckDB's SQL.

Names of columns may hold any character: they stand quoted where a file is read, and are numbers in
between.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa
from feast import FeatureView

from potluck.contract.errors import DataError
from potluck.stores.parquet.offline_reads import file_columns, parquet_source
from potluck.stores.parquet.source import LINE, ParquetSource
from potluck.stores.parquet.sql import quoted, utc

ENTITIES, ROW = "potluck_entities", "potluck_row"


@dataclass(frozen=True)
class Lookup:
    """What is wanted of one feature view."""

    source: ParquetSource
    keys: Mapping[str, str]
    """Column of the source -> column of the entity rows."""
    features: Mapping[str, str]
    """Name in the answer -> column of the source."""
    ttl: timedelta | None

    def check(self, connection: Any, rows: pa.Schema) -> None:
        """Compare what is wanted with the file and the entity rows.

        Raises:
            DataError: a column is not there, stands twice or can't be compared.
        """
        self.source.check(connection, [*self.keys, *self.features.values()])
        if twice := sorted(set(self.features) & set(rows.names)):
            raise DataError(
                f"expected entity rows without {twice[0]}, a feature of source {self.source.name}; "
                "rename it"
            )
        types = self.source.types(connection)
        for column, name in self.keys.items():
            held = str(rows.field(name).type) if name in rows.names else None
            if not can_be_compared(held, types[column]):
                wanted = f"{types[column]}, as in {self.source.name}.{column}"
                came = held or "no such column"
                raise DataError(
                    f"entity rows, column {name}: expected {wanted}, got {came}; correct the rows"
                )

    def query(self, place: Mapping[str, str], time: str) -> str:
        """The features of every entity row that has a record: found by ASOF, then fetched from
        where they stand."""
        source = self.source
        keys = numbered_aliases("k", self.keys)
        # A view without entities has no keys: the times come with them, so that no list is empty.
        theirs = [*aliased(keys, map(quoted, self.keys)), f"{source.time} AS t"]
        sought = [place[name] for name in self.keys.values()]
        ours = [*aliased(keys, sought), f"{utc(place[time])} AS due"]
        same = [f"e.{key} = r.{key}" for key in keys]
        joined = " AND ".join([*same, "e.due >= r.t"])
        young = ""
        if self.ttl:
            # Of an entity's records the newest is found first: a younger one can't be missed.
            lifetime = self.ttl // timedelta(microseconds=1)
            young = f"WHERE epoch_us(due) - epoch_us(t) <= {lifetime}"
        columns = [f"s.{quoted(column)}" for column in self.features.values()]
        features = aliased(numbered_aliases("f", self.features), columns)
        chosen = ", ".join([f"m.{ROW}", *features])
        return f"""
            WITH rows AS (
                SELECT {ROW}, {", ".join(ours)}
                FROM {ENTITIES} WHERE due IS NOT NULL
            ), records AS (
                SELECT {", ".join(theirs)}, {source.file} AS file, {LINE} AS line
                FROM {source.scan}
                WHERE ({source.file}, {LINE}) NOT IN ({source.outranked(self.keys)})
            ), found AS (
                SELECT {ROW}, r.file, r.line
                FROM rows AS e ASOF JOIN records AS r ON {joined} {young}
            )
            SELECT {chosen} FROM found AS m
                JOIN {source.scan} AS s ON {source.file} = m.file AND s.{LINE} = m.line"""


def lookup(view: FeatureView, references: Sequence[str], *, full_names: bool) -> Lookup | None:
    """What the references want of a view; None where its source is no local parquet."""
    source = parquet_source(view.batch_source)
    if source is None:
        return None
    column = file_columns(view.batch_source)
    projection = view.projection
    prefix = f"{projection.name_alias or view.name}__" if full_names else ""
    of_view = f"{projection.name_to_use()}:"
    names = [
        reference.removeprefix(of_view) for reference in references if reference.startswith(of_view)
    ]
    keys = projection.join_key_map or {key: key for key in view.join_keys}
    key_columns = {column.get(key, key): name for key, name in keys.items()}
    features = {prefix + name: column.get(name, name) for name in names}
    return Lookup(source, key_columns, features, view.ttl or None)


def join_query(place: Mapping[str, str], time: str, lookups: Sequence[Lookup]) -> str:
    """The entity rows in their order, each with the features of every view."""
    chosen = [f"e.{alias} AS {quoted(name)}" for name, alias in place.items()]
    joins = []
    for number, wanted in enumerate(lookups):
        view = f"v{number}"
        features = numbered_aliases(f"{view}.f", wanted.features)
        chosen += aliased(map(quoted, wanted.features), features)
        joins.append(f"LEFT JOIN ({wanted.query(place, time)}) AS {view} ON e.{ROW} = {view}.{ROW}")
    return f"SELECT {', '.join(chosen)} FROM {ENTITIES} AS e {' '.join(joins)} ORDER BY e.{ROW}"


def can_be_compared(held: str | None, wanted: str) -> bool:
    """Whether a column of the entity rows and a key of a source are both texts, or neither.

    Args:
        held: Arrow's name of the type of the rows' column; None where there is no such column.
        wanted: DuckDB's name of the key's type.
    """
    if held is None:
        return False
    # Rows that hold nothing but nulls have no type, and find nothing whatever the key is.
    return held == "null" or (held == "string") == (wanted == "VARCHAR")


def numbered_aliases(prefix: str, items: Collection[str]) -> list[str]:
    """An alias for each item: names of columns may hold any character."""
    return [f"{prefix}{number}" for number in range(len(items))]


def aliased(aliases: Iterable[str], columns: Iterable[str]) -> list[str]:
    return [f"{column} AS {alias}" for alias, column in zip(aliases, columns, strict=True)]
