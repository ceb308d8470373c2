"""Rows of one feature view into the online store: the newer one wins, and what was not written is told."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.redis_format import STRING_TYPE, timestamp_field
from potluck.stores.bulk_writer import NAMED, BulkWriter
from potluck.stores.feast_times import decode_timestamps, encode_timestamps, epoch_micros
from potluck.stores.resp_stream import key_hashes

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INTEGER_TYPES = (3, 4, 8)
SHOWN = 5

log = logging.getLogger("potluck.stores")


@dataclass
class Written:
    """What became of one view's rows."""

    view: str
    written: int = 0
    older: int = 0
    """Rows that were skipped because Redis holds a newer one."""
    future: int = 0
    """Rows that were skipped because they are dated after the horizon."""
    rejected: int = 0
    """Rows whose key holds something else than a hash in Redis."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few entities of `older`, `future` and `rejected`."""

    def name(self, reason: str, keys: "pa.BinaryArray | list[bytes]") -> None:
        """Keep the first few entities that were not written for this reason."""
        kept = self.examples.setdefault(reason, [])
        kept += [readable_key(key if isinstance(key, bytes) else key.as_py()) for key in keys[: SHOWN - len(kept)]]

    def warn(self) -> None:
        """Log what was not written."""
        for reason, count in {"older": self.older, "future": self.future, "rejected": self.rejected}.items():
            if count:
                log.warning(REASONS[reason], count, self.view, ", ".join(self.examples.get(reason, [])))


REASONS = {
    "older": "%d row(s) of %s skipped: the online store holds a newer one (%s)",
    "future": "%d row(s) of %s skipped: dated in the future (%s); correct the source",
    "rejected": "%d row(s) of %s refused by Redis: their key holds something else than a hash (%s); delete those keys",
}


@dataclass
class Session:
    """One `potluck materialize`, as its rows go through the online store."""

    horizon: datetime | None = None
    """Nothing dated later is believed, neither coming in nor stored; where it is None, than in a minute."""
    progress: Callable[[str, int, int | None], None] | None = None
    """Told the view, how many of its rows are done, and of how many if that is known."""
    written: dict[str, Written] = field(default_factory=dict)
    keys: dict[str, list[npt.NDArray[np.uint64]]] = field(default_factory=dict)
    """Hashes of the Redis keys of all rows that came, by view."""


class ViewWriter:
    """Writes batches of one view's rows; use it as a context, so that all replies are in and told in the end.

    Args:
        writer: ends with this one.
        view: its name in Redis.
        fields: hash field of each feature.
        check: read the stored timestamps first, and skip a row that is older than the stored one.
        horizon: nothing dated later is believed, neither coming in nor stored.
        lifetime: seconds until a written key expires, if it does.
    """

    def __init__(
        self,
        writer: BulkWriter,
        view: str,
        fields: Sequence[bytes],
        check: bool,
        horizon: datetime,
        lifetime: int | None = None,
        session: Session | None = None,
    ) -> None:
        self.writer = writer
        self.fields = fields
        self.stamp = timestamp_field(view).encode()
        self.check = check
        self.horizon = (horizon.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
        self.lifetime = lifetime
        self.session = session
        self.view = view
        self.told = Written(view)

    def write(self, keys: "pa.BinaryArray", times: "pa.Array", values: "Sequence[pa.BinaryArray]") -> None:
        """Write a batch.

        Args:
            keys: Redis key of each row. Of an entity that comes twice the newest row stays, the last among equals.
            times: event timestamp of each row.
            values: serialized values of each feature, in the order of the fields.

        Raises:
            ServiceUnreachable: Redis failed; nothing more is sent.
            DataError: a timestamp is missing.
        """
        micros = epoch_micros(times)
        if self.session is not None:
            self.session.keys.setdefault(self.view, []).append(key_hashes(keys))
        rows = self.rows_to_write(keys, micros)
        columns = [keys, encode_timestamps(times), *values]
        if rows is not None:
            columns = [column.take(pa.array(rows)) for column in columns]
        self.writer.write(columns[0], list(zip([self.stamp, *self.fields], columns[1:], strict=True)))
        if self.lifetime:
            self.writer.expire(columns[0], self.lifetime)

    def rows_to_write(self, keys: "pa.BinaryArray", micros: npt.NDArray[np.int64]) -> npt.NDArray[np.intp] | None:
        """Which rows, in which order; None for all as they are."""
        order = in_order_of_time(keys, micros)
        if not self.check:
            return order
        skipped = self.skipped(keys, micros)
        if not skipped.any():
            return order
        rows = np.arange(len(keys)) if order is None else order
        return rows[~skipped[rows]]

    def skipped(self, keys: "pa.BinaryArray", micros: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Rows that are dated in the future, or older than what is stored; a stored future is not believed."""
        future = micros > self.horizon
        stored, sound = decode_timestamps(self.writer.read(keys, self.stamp))
        older = ~future & sound & (stored > micros) & (stored <= self.horizon)
        self.told.future += int(future.sum())
        self.told.older += int(older.sum())
        for reason, rows in {"future": future, "older": older}.items():
            self.told.name(reason, keys.take(pa.array(np.flatnonzero(rows)[:SHOWN])))
        return future | older

    def __enter__(self) -> "ViewWriter":
        return self

    def __exit__(self, *raised: object) -> None:
        self.writer.__exit__(*raised)  # type: ignore[arg-type]
        self.told.written, self.told.rejected = self.writer.written, self.writer.refused
        self.told.name("rejected", [key for key, _ in self.writer.rejected[:NAMED]])
        self.told.warn()
        if self.session is not None:
            add(self.session.written, self.told)


def add(known: dict[str, Written], told: Written) -> None:
    """A view may be written in several calls."""
    sum_ = known.setdefault(told.view, Written(told.view))
    sum_.written += told.written
    sum_.older += told.older
    sum_.future += told.future
    sum_.rejected += told.rejected
    for reason, names in told.examples.items():
        kept = sum_.examples.setdefault(reason, [])
        kept += names[: SHOWN - len(kept)]


def in_order_of_time(keys: "pa.BinaryArray", micros: npt.NDArray[np.int64]) -> npt.NDArray[np.intp] | None:
    """An order in which the last row of each entity is its newest, the last among equals; None for the given one."""
    if len(keys) < 2 or not (np.diff(micros) < 0).any() or pc.count_distinct(keys).as_py() == len(keys):
        return None
    return np.argsort(micros, kind="stable")


def readable_key(key: bytes) -> str:
    """The entity of a Redis key for people: `Id=91`."""
    rest, count = key[4:], int.from_bytes(key[:4], "little")
    found: list[str] = []
    for _ in range(2 * count):  # names first, then values, each with its type and length
        kind, length = int.from_bytes(rest[:4], "little"), int.from_bytes(rest[4:8], "little")
        value, rest = rest[8 : 8 + length], rest[8 + length :]
        found.append(str(int.from_bytes(value, "little", signed=True)) if kind in INTEGER_TYPES else shown(kind, value))
    return ", ".join(f"{name}={value}" for name, value in zip(found[:count], found[count:], strict=True))


def shown(kind: int, value: bytes) -> str:
    return value.decode(errors="replace") if kind == STRING_TYPE else value.hex()
