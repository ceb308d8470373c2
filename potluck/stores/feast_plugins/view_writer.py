"""Rows of one feature view into the online store: which are written, and what is told of the
others.

Two kinds of writer meet in one store. A push brings what is newer than the data: it stays out only
where a stored row, whoever wrote it, is newer. A materialize brings the data as it is now: it
replaces whatever an earlier materialize wrote, as dates may have been corrected backwards since,
and stays out only where a newer row was pushed. So a push leaves a mark (see
`potluck.contract.redis_format.pushed_field`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.accounting import SHOWN
from potluck.contract.moments import EARLIEST, LATEST
from potluck.redis.binary_columns import numbers
from potluck.redis.bulk_writer import NAMED, BulkWriter
from potluck.redis.feast_times import decode_timestamps, encode_micros, micros_if_dated
from potluck.redis.key_scan import readable_key
from potluck.redis.resp_stream import key_hashes
from potluck.stores.feast_plugins.session import (
    FUTURE,
    LOGGED,
    NEWER_STORED,
    OLDER,
    OUTSIDE,
    REJECTED,
    UNDATED,
    Session,
    WrittenRows,
)
from potluck.stores.feast_plugins.view_names import own_fields

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(minutes=1)
"""How far ahead the clock of a machine that pushes may be before its rows count as dated in the
future."""

Micros = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rules:
    """Which rows are written."""

    pushing: bool
    """Whether a push brings them, or a materialize."""
    horizon: datetime
    """Rows dated later stay out."""
    believed: datetime
    """A stored row dated later keeps nothing out: it is a mistake."""
    check: bool = True
    """Look at the stored rows and at the horizon; else write every row with a date within the
    range."""


class ViewWriter:
    """Writes batches of one view's rows; use it as a context, so that all replies are in and told
    in the end.

    Args:
        writer: ends with this one.
        view: its name in Redis.
        fields: hash field of each feature.
        source: where the rows come from, to name it.
        lifetime: seconds until a written key expires, if it does.
        session: told of all rows; without one, what stays out is logged.
    """

    def __init__(
        self,
        writer: BulkWriter,
        view: str,
        fields: Sequence[bytes],
        rules: Rules,
        *,
        source: str = "",
        lifetime: int | None = None,
        session: Session | None = None,
    ) -> None:
        self.writer = writer
        self.view = view
        self.fields = fields
        self.rules = rules
        self.lifetime = lifetime
        self.session = session
        self.stamp, self.mark = own_fields(view)
        self.told = WrittenRows(view, source)

    def write(
        self, keys: "pa.BinaryArray", times: "pa.Array", values: "Sequence[pa.BinaryArray]"
    ) -> None:
        """Write a batch.

        Args:
            keys: Redis key of each row. Of an entity that comes twice the newest row stays, the
                last among equals.
            times: event timestamp of each row; a row without one, or beyond the range, stays out.
            values: serialized values of each feature, in the order of the fields.

        Raises:
            ServiceUnreachable: Redis failed; nothing more is sent.
            DataError: the timestamps are none.
        """
        self.told.came += len(keys)
        micros, dated = micros_if_dated(times)
        usable = self.usable(keys, micros, dated)
        if not usable.all():
            keys, *values = (column.filter(pa.array(usable)) for column in (keys, *values))
            micros = micros[usable]
        if self.session is not None:
            self.session.keys.setdefault(self.view, []).append(key_hashes(keys))
        rows = self.rows_to_write(keys, micros)
        columns = [keys, encode_micros(micros), *values]
        if rows is not None:
            columns = [column.take(pa.array(rows)) for column in columns]
        self.put(columns[0], columns[1], columns[2:])

    def put(
        self, keys: "pa.BinaryArray", stamps: "pa.BinaryArray", values: "Sequence[pa.BinaryArray]"
    ) -> None:
        own = (
            [(self.stamp, stamps), (self.mark, stamps)]
            if self.rules.pushing
            else [(self.stamp, stamps)]
        )
        self.writer.write(keys, [*own, *zip(self.fields, values, strict=True)])
        if self.lifetime:
            self.writer.expire(keys, self.lifetime)

    def leave_out(self, kind: str, count: int, examples: Sequence[str] = ()) -> None:
        """Rows that never came as far as `write`."""
        if count:
            self.told.came += count
            self.told.leave_out(kind, count, examples)

    def usable(self, keys: "pa.BinaryArray", micros: Micros, dated: Mask) -> Mask:
        """Rows whose date counts; the others are told."""
        outside = dated & ((micros < micros_of(EARLIEST)) | (micros >= micros_of(LATEST)))
        future = dated & ~outside & (micros > micros_of(self.rules.horizon)) & self.rules.check
        for kind, rows in {UNDATED: ~dated, OUTSIDE: outside, FUTURE: future}.items():
            self.name(kind, keys, rows)
        return dated & ~outside & ~future

    def rows_to_write(self, keys: "pa.BinaryArray", micros: Micros) -> npt.NDArray[np.intp] | None:
        """Which rows, in which order; None for all as they are."""
        order = in_order_of_time(keys, micros)
        if not self.rules.check:
            return order
        older = self.older(keys, micros)
        self.name(OLDER, keys, older)
        if not older.any():
            return order
        rows = np.arange(len(keys)) if order is None else order
        return rows[~older[rows]]

    def older(self, keys: "pa.BinaryArray", micros: Micros) -> Mask:
        """Rows in whose place a newer one stays; the mark of a push that does not stay goes."""
        if self.rules.pushing:
            (stamps,) = self.writer.read(keys, [self.stamp])
            return self.newer_than(stamps, micros)
        stamps, marks = self.writer.read(keys, [self.stamp, self.mark])
        if marks.null_count == len(marks):  # nothing was pushed, as is usual: spare the decoding
            return np.zeros(len(keys), np.bool_)
        older = is_pushed(stamps, marks) & self.newer_than(stamps, micros)
        outdated = keys.filter(pa.array(numbers(marks.is_valid()) & ~older))
        self.writer.delete(outdated, [self.mark])  # first: a push in between puts its own
        return older

    def newer_than(self, stamps: "pa.BinaryArray", micros: Micros) -> Mask:
        stored, sound = decode_timestamps(stamps)
        return sound & (stored > micros) & (stored <= micros_of(self.rules.believed))

    def name(self, kind: str, keys: "pa.BinaryArray", rows: Mask) -> None:
        if rows.any():
            first = keys.take(pa.array(np.flatnonzero(rows)[:SHOWN]))
            self.told.leave_out(kind, int(rows.sum()), [readable_key(key.as_py()) for key in first])

    def __enter__(self) -> "ViewWriter":
        return self

    def __exit__(self, *raised: object) -> None:
        self.writer.__exit__(*raised)  # type: ignore[arg-type]
        self.told.written = self.writer.written
        if self.writer.refused:
            refused = [readable_key(key) for key, _ in self.writer.rejected[:NAMED]]
            self.told.leave_out(REJECTED, self.writer.refused, refused)
        if self.session is not None:
            self.session.note(self.told)
        else:
            self.told.warn({**LOGGED, OLDER: NEWER_STORED} if self.rules.pushing else LOGGED)


def is_pushed(stamps: "pa.BinaryArray", marks: "pa.BinaryArray") -> Mask:
    """Whether the stored rows are those that were pushed.

    Another writer's row has another timestamp, or the mark was taken away with it.
    """
    return numbers(pc.fill_null(pc.equal(stamps, marks), False))


def micros_of(moment: datetime) -> int:
    return (moment.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def in_order_of_time(keys: "pa.BinaryArray", micros: Micros) -> npt.NDArray[np.intp] | None:
    """An order in which the last row of each entity is its newest, the last among equals; None for
    the given one."""
    if (
        len(keys) < 2
        or not (np.diff(micros) < 0).any()
        or pc.count_distinct(keys).as_py() == len(keys)
    ):
        return None
    return np.argsort(micros, kind="stable")
