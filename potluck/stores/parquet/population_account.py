"""What becomes of the rows of a source by night: the latest one of each entity is kept, the others
for a reason not."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
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
    Account,
    LeftOut,
)
from potluck.contract.moments import EARLIEST, LATEST
from potluck.stores.parquet.source import FILE, LINE
from potluck.stores.parquet.source_fields import Part
from potluck.stores.parquet.sql import moment, quoted

REASONS = {
    "undated": NO_DATE,
    "outside": OUT_OF_RANGE,
    "late": AFTER_AS_OF,
    "older": SUPERSEDED,
    "tied": DUPLICATE,
}
"""Column of the query -> reason. A row has the first reason that holds."""

COUNT = """
WITH moments AS (SELECT k, t, count(*) AS n FROM ({rows}) GROUP BY k, t),
placed AS (
    SELECT *, CASE
        WHEN t IS NULL THEN 'undated'
        WHEN t < {earliest} OR t >= {latest} THEN 'outside'
        WHEN t > {until} THEN 'late'
        ELSE 'visible' END AS place
    FROM moments
), entities AS (
    SELECT k,
        sum(n) FILTER (place = 'undated') AS undated,
        sum(n) FILTER (place = 'outside') AS outside,
        sum(n) FILTER (place = 'late') AS late,
        sum(n) FILTER (place = 'visible') AS visible,
        arg_max(n, t) FILTER (place = 'visible') AS newest
    FROM placed GROUP BY k
), counted AS (SELECT *, visible - newest AS older, newest - 1 AS tied FROM entities)
SELECT count(visible), {reasons} FROM counted
"""
"""Of one range of keys; `newest` are the rows of an entity's latest moment, of which one is
kept."""


@dataclass(frozen=True)
class Tally:
    """How many rows, and the smallest keys of them."""

    count: int = 0
    keys: tuple[int | str, ...] = ()

    def and_more(self, count: int | None, keys: Sequence[int | str] | None) -> "Tally":
        """With those of a higher range."""
        return Tally(self.count + int(count or 0), (*self.keys, *(keys or ()))[:SHOWN])


def account_of(
    part: Part, connection: duckdb.DuckDBPyConnection, ends: Sequence[int | str] = ()
) -> Account:
    """Count the rows of a source, a range of keys at a time.

    Args:
        ends: keys where a range ends and the next one begins, in order; none takes all at once.
    """
    sums = [f"sum({name}), min(k, {SHOWN}) FILTER ({name} > 0)" for name in REASONS]
    query = COUNT.format(
        rows="{rows}",  # filled in for each range
        earliest=moment(EARLIEST),
        latest=moment(LATEST),
        until=moment(part.until),
        reasons=", ".join(sums),
    )
    entities = 0
    tallies = dict.fromkeys(REASONS, Tally())
    for above, upto in pairwise([None, *ends, None]):
        found = one_range(part, connection, query, above, upto)
        entities += found[0]
        # After the entities, each reason has two columns: how many rows, and the first keys.
        pairs = zip(found[1::2], found[2::2], strict=True)
        for name, (count, keys) in zip(REASONS, pairs, strict=True):
            tallies[name] = tallies[name].and_more(count, keys)
    left_out = [without_key(part, connection)]
    for name, tally in tallies.items():
        left_out.append(LeftOut(REASONS[name], tally.count, named(part.key, tally.keys)))
    came = entities + sum(each.count for each in left_out)
    told = tuple(each for each in left_out if each.count)
    return Account(part.source.name, came, entities, told)


def one_range(
    part: Part,
    connection: duckdb.DuckDBPyConnection,
    query: str,
    above: int | str | None,
    upto: int | str | None,
) -> tuple[Any, ...]:
    key = quoted(part.key)
    conditions, bounds = [f"{key} IS NOT NULL"], {}
    if above is not None:
        conditions.append(f"{key} > $above")
        bounds["above"] = above
    if upto is not None:
        conditions.append(f"{key} <= $upto")
        bounds["upto"] = upto
    within = f"{part.source.scan} WHERE {' AND '.join(conditions)}"
    rows = f"SELECT {key} AS k, {part.source.time} AS t FROM {within}"
    found: tuple[Any, ...] | None = connection.execute(query.format(rows=rows), bounds).fetchone()
    assert found is not None
    return found


def without_key(part: Part, connection: duckdb.DuckDBPyConnection) -> LeftOut:
    """Rows whose key is null, by where they stand."""
    rows = f"FROM {part.source.scan} WHERE {quoted(part.key)} IS NULL"
    total = connection.execute(f"SELECT count(*) {rows}").fetchone()
    assert total is not None
    if not total[0]:
        return LeftOut(NO_KEY, 0)
    first = connection.execute(
        f"SELECT {FILE}, {LINE} {rows} ORDER BY ALL LIMIT {SHOWN}"
    ).fetchall()
    several = len(part.source.files) > 1
    lines = []
    for file, number in first:
        line = f"line {number + 1}"  # DuckDB counts from 0
        lines.append(f"{Path(file).name} {line}" if several else line)
    return LeftOut(NO_KEY, total[0], tuple(lines))


def named(key: str, keys: Sequence[int | str]) -> tuple[str, ...]:
    return tuple(f"{key}={value}" for value in keys)
