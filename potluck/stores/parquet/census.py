"""How many rows of a feature view's source count, and why the others don't.

DuckDB is asked, over keys and dates alone. A materialize writes the latest record of every entity;
what is counted here beside it accounts for all other rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from potluck.contract.accounting import (
    AFTER_AS_OF,
    DUPLICATE,
    NO_DATE,
    NO_KEY,
    OUT_OF_RANGE,
    SHOWN,
    SUPERSEDED,
    LeftOut,
)
from potluck.contract.moments import EARLIEST, LATEST
from potluck.stores.parquet.connection import connected
from potluck.stores.parquet.source import LINE, ParquetSource
from potluck.stores.parquet.sql import literal, moment, quoted

BY_REASON = """
WITH told AS (SELECT why, {keys}, count(*) AS rows FROM ({judged}) WHERE why <> '' GROUP BY ALL)
SELECT why, sum(rows)::BIGINT, min({entity}, {shown}) FROM told GROUP BY why ORDER BY why
"""

BY_ENTITY = """
WITH moments AS (SELECT {keys}, t, count(*) AS rows FROM ({judged}) WHERE why = '' GROUP BY ALL),
entities AS (
    SELECT {keys}, sum(rows)::BIGINT AS rows, arg_max(rows, t) AS newest FROM moments GROUP BY ALL
)
SELECT count(*), coalesce(sum(rows - newest), 0)::BIGINT, coalesce(sum(newest - 1), 0)::BIGINT,
    min({entity}, {shown}) FILTER (rows > newest), min({entity}, {shown}) FILTER (newest > 1)
FROM entities
"""
"""`newest` are the rows of an entity's latest moment, of which one is kept; the night counts
alike."""

KEYLESS = """
SELECT count(*), min({{'file': {file}, 'line': {line}}}, {shown}) FROM {scan} WHERE {null}
"""

JUDGED = """
SELECT {keys}, {time} AS t, CASE
    WHEN {time} IS NULL THEN {no_date}
    WHEN {time} < {earliest} OR {time} >= {latest} THEN {out_of_range}
    WHEN {time} > {as_of} THEN {after_as_of}
    ELSE '' END AS why
FROM {scan} WHERE {whole}
"""
"""Every row that has its keys, its time, and the first reason why it does not count, if any."""


@dataclass(frozen=True)
class Census:
    """The rows of one source, as a materialize up to a date sees them."""

    came: int
    entities: int
    """With a record dated up to the date: the rows that are to be written."""
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class RowCounter:
    """Counts the rows of a feature view's source."""

    source: ParquetSource
    keys: Mapping[str, str]
    """Join key -> column of the source."""

    def census(self, as_of: datetime, memory_limit: str | None = None) -> Census:
        """Count the entities that are visible at a date, and by reason the rows that don't count.

        Raises:
            DataError: the source can't be read.
            UsageError: not within the memory limit.
        """
        with connected(self.source, memory_limit=memory_limit) as connection:
            counted = connection.execute(self.filled(BY_ENTITY, as_of)).fetchone()
            others = connection.execute(self.filled(BY_REASON, as_of)).fetchall()
            keyless = self.keyless_in(connection)
        entities, superseded, repeated, older, tied = counted or (0, 0, 0, [], [])
        reasons = (
            keyless,
            *(LeftOut(why, count, self.named(examples)) for why, count, examples in others),
            LeftOut(SUPERSEDED, superseded, self.named(older)),
            LeftOut(DUPLICATE, repeated, self.named(tied)),
        )
        return Census(entities + sum(each.count for each in reasons), entities, reasons)

    def keyless(self) -> LeftOut:
        """The rows of which a join key is null, named by where they stand; raises as `census`."""
        with connected(self.source) as connection:
            return self.keyless_in(connection)

    def keyless_in(self, connection: duckdb.DuckDBPyConnection) -> LeftOut:
        null = " OR ".join(f"{quoted(column)} IS NULL" for column in self.keys.values())
        source = self.source
        place = {"file": source.file, "line": LINE}
        query = KEYLESS.format(**place, shown=SHOWN, scan=source.scan, null=null)
        count, places = connection.execute(query).fetchone() or (0, [])
        return LeftOut(NO_KEY, count, tuple(row_at(**place) for place in places or ()))

    def filled(self, query: str, as_of: datetime) -> str:
        """One of the queries above, over the rows that are judged."""
        # Keys are numbered in the query: their own names may hold any character.
        keys = [f"k{number}" for number in range(len(self.keys))]
        struct = ", ".join(f"'{key}': {key}" for key in keys)
        return query.format(
            keys=", ".join(keys),
            entity=f"{{{struct}}}",
            judged=self.judged(as_of),
            shown=SHOWN,
        )

    def judged(self, as_of: datetime) -> str:
        columns = [quoted(column) for column in self.keys.values()]
        keys = [f"{column} AS k{number}" for number, column in enumerate(columns)]
        present = [f"{column} IS NOT NULL" for column in columns]
        return JUDGED.format(
            keys=", ".join(keys),
            whole=" AND ".join(present),
            scan=self.source.scan,
            time=self.source.time,
            earliest=moment(EARLIEST),
            latest=moment(LATEST),
            as_of=moment(as_of),
            no_date=literal(NO_DATE),
            out_of_range=literal(OUT_OF_RANGE),
            after_as_of=literal(AFTER_AS_OF),
        )

    def named(self, entities: list[dict[str, Any]] | None) -> tuple[str, ...]:
        """`Id=91` of each."""
        names = []
        for entity in entities or ():
            pairs = zip(self.keys, entity.values(), strict=True)
            names.append(", ".join(f"{key}={value}" for key, value in pairs))
        return tuple(names)


def row_at(file: str | int, line: int) -> str:
    """`row 17`, counted from 1, and of which file where there are several."""
    row = f"row {line + 1}"
    return f"{Path(file).name} {row}" if isinstance(file, str) else row
