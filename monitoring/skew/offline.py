"""What the offline store knew of entities at the moments at which they were looked up.

The join is the offline store's own (`potluck.stores.parquet.asof`), with two differences: it also
answers the event time of the record that counts, and an age is judged by the rule of the server and
the ttl of the bundle's contract, not by that of today's view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
from feast import FeatureStore

from potluck.contract.errors import DataError, MissingStepError
from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.fields import Field
from potluck.scoring.lookups import status_of
from potluck.stores.definitions.registered_objects import registered_view
from potluck.stores.parquet.arrow_types import cast
from potluck.stores.parquet.asof import ENTITIES, ROW, Lookup, join_query
from potluck.stores.parquet.connection import connected
from potluck.stores.parquet.offline_reads import file_columns, parquet_source
from potluck.stores.parquet.source import ParquetSource

DUE = "potluck_looked_up_at"
RECORDED = "potluck_recorded_at"
MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class OfflineView:
    """One feature view's records for some rows."""

    event_times: Sequence[datetime | None]
    """Of the record that counts for each row; None where the entity has none by then."""
    values: dict[str, Sequence[Any]]
    """Feature -> a value for each row; None is missing, or too old for the view's ttl."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Feature -> why it has no values here."""


def read_offline(
    store: FeatureStore, contract: FeatureContract, view: LookupView, rows: pa.Table
) -> OfflineView:
    """Join rows with one view's offline records.

    Args:
        rows: the join keys in their declared types, and the moments of the look-ups as `DUE`.

    Raises:
        DataError: the source is no parquet, or its keys or timestamps have other types.
        MissingStepError: the source was never written.
    """
    try:
        registered = registered_view(store, view.name, contract.service)
    except MissingStepError:
        return nothing_of(view, rows.num_rows, "its view is not defined any more")
    source = parquet_source(registered.batch_source)
    if source is None:
        return nothing_of(view, rows.num_rows, "its offline source is no local parquet")
    table, held = join(source, view, file_columns(registered.batch_source), rows)
    event_times = table[RECORDED].cast(MOMENT, safe=False).to_pylist()
    hidden = too_old(event_times, rows[DUE].to_pylist(), view)
    fields = {each.name: each for each in contract.online}
    values: dict[str, Sequence[Any]] = {}
    for name in held:
        column = plain_values(table[name], fields[name], view.name)
        for row in hidden:
            column[row] = None
        values[name] = column
    gone = [name for name in view.features if name not in held]
    reason = "its offline source holds no such column"
    return OfflineView(event_times, values, dict.fromkeys(gone, reason))


def nothing_of(view: LookupView, rows: int, reason: str) -> OfflineView:
    return OfflineView([None] * rows, {}, dict.fromkeys(view.features, reason))


def join(
    source: ParquetSource, view: LookupView, in_file: Mapping[str, str], rows: pa.Table
) -> tuple[pa.Table, list[str]]:
    """Find the record of each row that counted when it was looked up.

    Args:
        in_file: name in Feast -> name in the file, where they differ.

    Returns:
        The rows with features and `RECORDED`, and the features that the source holds.
    """
    aliases = [f"e{number}" for number in range(rows.num_columns)]
    place = dict(zip(rows.column_names, aliases, strict=True))
    numbers = pa.array(range(rows.num_rows), pa.int64())
    entities = rows.rename_columns(aliases).append_column(ROW, numbers)
    keys = {in_file.get(key, key): key for key in view.join_keys}
    with connected(source) as connection:
        # As in the offline store: else DuckDB takes the rows for a table of one row.
        connection.execute("SET asof_loop_join_threshold = 0")
        types = source.types(connection)
        columns = {name: in_file.get(name, name) for name in view.features}
        held = {name: column for name, column in columns.items() if column in types}
        lookup = Lookup(source, keys, {**held, RECORDED: source.timestamp}, ttl=None)
        lookup.check(connection, rows.schema)
        connection.register(ENTITIES, entities)
        table = connection.execute(join_query(place, DUE, [lookup])).to_arrow_table()
    return table, [*held]


def too_old(
    event_times: Sequence[datetime | None], moments: Sequence[datetime], view: LookupView
) -> list[int]:
    """Return the numbers of the rows whose record is older than the view's ttl.

    Args:
        moments: those of the look-ups.
    """
    found = []
    for row, (recorded, due) in enumerate(zip(event_times, moments, strict=True)):
        if recorded is None:
            continue
        status = status_of(recorded.timestamp(), view.ttl_seconds, due.timestamp())
        if status != "PRESENT":
            found.append(row)
    return found


def plain_values(column: pa.ChunkedArray, declared: Field, view: str) -> list[Any]:
    """Return values in their declared type; as they are where they don't fit it."""
    try:
        return cast(column, declared, view).to_pylist()  # type: ignore[no-any-return]
    except DataError:
        return column.to_pylist()  # type: ignore[no-any-return]
