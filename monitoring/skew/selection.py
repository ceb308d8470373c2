"""Which logged rows are compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import duckdb

from monitoring import query
from monitoring.parts import PartFiles
from monitoring.replay.inputs import LoggedDict
from monitoring.skew.logged import ColumnTypes

ROWS_AT_ONCE = 20_000
"""Rows held in memory; each group of them is one join for a view."""
HYBRID = "served_by = 'hybrid'"
# A row's place in the sample depends on the row alone, so a second run takes the same rows.
IN_ORDER = "order by request_time, request_id, row"
IN_SAMPLE = "order by hash(request_id, row) limit ?"


@dataclass(frozen=True)
class Chosen:
    """Which rows to compare."""

    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is out."""
    service: str | None = None
    sample: int | None = None
    """Rows of a service, at most."""


def logged_rows(
    parts: PartFiles, service: str, chosen: Chosen
) -> Iterator[tuple[ColumnTypes, list[LoggedDict]]]:
    """Read the chosen rows of a service, some at a time, with the types of its log's columns."""
    conditions, values = [HYBRID], []
    for sign, moment in ((">=", chosen.since), ("<", chosen.until)):
        if moment is not None:
            conditions.append(f"request_time {sign} ?")
            values.append(moment)
    sql = f"select * from log where {' and '.join(conditions)} "  # noqa: S608
    with query.open_log(parts, service) as connection:
        if chosen.sample is None:
            cursor = connection.execute(sql + IN_ORDER, values)
        else:
            cursor = connection.execute(sql + IN_SAMPLE, [*values, chosen.sample])
        yield from fetched(cursor)


def fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[ColumnTypes, list[LoggedDict]]]:
    types = {column[0]: str(column[1]) for column in cursor.description or []}
    while rows := cursor.fetchmany(ROWS_AT_ONCE):
        yield types, [dict(zip(types, row, strict=True)) for row in rows]
