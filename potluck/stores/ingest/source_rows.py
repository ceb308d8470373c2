"""One source's rows on their way in: typed, accounted for, and joined with those that are there
already."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.accounting import (
    DUPLICATE,
    NO_DATE,
    NO_KEY,
    OUT_OF_RANGE,
    SHOWN,
    Account,
    LeftOut,
    account,
)
from potluck.contract.errors import DataError
from potluck.contract.fields import LARGEST_INTEGER
from potluck.contract.moments import EARLIEST, LATEST
from potluck.stores.ingest.row_identities import Mask, came_again, identities

TIME = "event_timestamp"
TIMESTAMP = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class SourceRows:
    """A source's rows as they will be written, and what became of those that came."""

    table: pa.Table
    account: Account


def clean_rows(source: str, raw: pa.Table, keys: Sequence[str]) -> SourceRows:
    """Bring rows into the types that every room expects, without those that no later verb could
    use.

    Args:
        keys: columns that, with the timestamp, say which row it is: of two alike the last counts.
            Without them every row is one of its own.

    Raises:
        DataError: a column holds what the online store, the model and JSON can't hold alike, or a
            key is not there.
    """
    table = clean(source, raw)
    refuse_absent(source, table, keys)
    rows = Counter(table, keys)
    # The order of the reasons matters: a row counts under the first that holds.
    if keys:
        rows.leave_out(NO_KEY, mask(pc.is_null(table[keys[0]])))
    if TIME in table.column_names and pa.types.is_timestamp(table[TIME].type):
        time = table[TIME]
        rows.leave_out(NO_DATE, mask(pc.is_null(time)))
        early = pc.less(time, bound(EARLIEST))
        late = pc.greater_equal(time, bound(LATEST))
        rows.leave_out(OUT_OF_RANGE, mask(pc.or_(early, late)))
    if keys:
        codes = identities(table, [*keys, *timed(table)])
        rows.leave_out(DUPLICATE, came_again(codes, rows.kept))
    kept = table.filter(pa.array(rows.kept))
    return SourceRows(kept, account(source, table.num_rows, rows.reasons))


class Counter:
    """Which rows are kept, and why the others are not: each row for its first reason."""

    def __init__(self, table: pa.Table, keys: Sequence[str]) -> None:
        self.table = table
        self.keys = keys
        self.kept: Mask = np.ones(table.num_rows, dtype=bool)
        self.reasons: list[LeftOut] = []

    def leave_out(self, reason: str, which: Mask) -> None:
        rows = np.flatnonzero(which & self.kept)
        self.kept[rows] = False
        examples = tuple(self.name(row) for row in rows[:SHOWN].tolist())
        self.reasons.append(LeftOut(reason, len(rows), examples))

    def name(self, row: int) -> str:
        """As a person finds it again: by its first key, or by its place among the rows that
        came."""
        if self.keys:
            key = self.keys[0]
            value = self.table[key][row].as_py()
            if value is not None:
                return f"{key}={value}"
        return f"row {row + 1}"


def append_rows(source: str, old: pa.Table, new: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Add the rows that came to those that were there; the same rows once more change nothing.

    A row that came replaces one of the same keys and time. Without keys, one that is there already,
    alike in every column, is not added.

    Raises:
        DataError: the columns or their types differ.
    """
    refuse_other_columns(source, old, new)
    both = pa.concat_tables([old, new.select(old.column_names)]).combine_chunks()
    if keys:
        all_count = np.ones(both.num_rows, dtype=bool)
        again = came_again(identities(both, [*keys, *timed(both)]), all_count)
        return both.filter(pa.array(~again))
    codes = identities(both, both.column_names)
    added = ~np.isin(codes, codes[: old.num_rows])
    added[: old.num_rows] = True
    return both.filter(pa.array(added))


def refuse_absent(source: str, table: pa.Table, keys: Sequence[str]) -> None:
    absent = [key for key in keys if key not in table.column_names]
    if absent:
        raise DataError(
            f"ingest.py names {absent[0]} among the KEYS of {source}, which has the columns "
            f"{', '.join(table.column_names)}; correct KEYS"
        )


def refuse_other_columns(source: str, old: pa.Table, new: pa.Table) -> None:
    """Refuse rows that differ in columns or types from those that are there."""
    advice = "change ingest.py, or write the source anew with --replace"
    for name in [*old.column_names, *new.column_names]:
        if name not in new.column_names:
            raise DataError(
                f"expected the column {name}, which source {source} has, and the new rows lack it; "
                f"{advice}"
            )
        if name not in old.column_names:
            raise DataError(
                f"the new rows have the column {name}, which source {source} lacks; {advice}"
            )
        if old[name].type != new[name].type:
            raise DataError(
                f"expected {source}.{name} to be {old[name].type}, got {new[name].type}; {advice}"
            )


def timed(table: pa.Table) -> list[str]:
    return [TIME] if TIME in table.column_names else []


def mask(found: pa.ChunkedArray) -> Mask:
    """Convert to numpy; unknown is false."""
    values: Mask = found.fill_null(False).to_numpy().astype(bool)
    return values


def bound(moment: object) -> pa.Scalar:
    return pa.scalar(moment, TIMESTAMP)


def clean(source: str, table: pa.Table) -> pa.Table:
    columns = [clean_column(f"{source}.{name}", table[name]) for name in table.column_names]
    return pa.table(columns, names=table.column_names)


def clean_column(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cast a column: NaN to null, floats to doubles, days and timestamps to microseconds in UTC."""
    if pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
        return pc.if_else(pc.is_nan(column), None, column)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return in_utc(name, column)
    if pa.types.is_integer(column.type):
        refuse_large(name, column)
        return column.cast(pa.int64())
    return column


def refuse_large(name: str, column: pa.ChunkedArray) -> None:
    """Refuse integers that JSON and the model would round."""
    ends = pc.min_max(column).as_py().values()  # None, both, where no value is there
    largest = max(filter(None, ends), key=abs, default=0)
    if abs(largest) > LARGEST_INTEGER:
        raise DataError(
            f"{name} holds {largest}, beyond ±2^53, where a float64 can't tell two integers "
            "apart; keep such a number as text"
        )


def in_utc(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("us"))
        return column.cast(TIMESTAMP, safe=False)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{name} holds a time that can't be counted in microseconds: {error}"
        ) from None
