"""Many rows into Redis hashes, about as fast as Redis takes them."""

import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from redis.cluster import RedisCluster

from potluck.redis.binary_columns import lengths
from potluck.redis.client import REDIS_ERRORS, RedisClient, is_wrong_type
from potluck.redis.pipelined_connection import Batch, Lane
from potluck.redis.resp_stream import SLOTS, Part, command_stream, hash_slots
from potluck.redis.unreachable import unreachable

CHUNK_ROWS = 10_000
CHUNK_BYTES = 8 * 1024 * 1024
NAMED = 20

Rows = npt.NDArray[np.intp]


class BulkWriter:
    """Writes rows into Redis hashes: HSET commands put together by columns, replies counted by a
    second thread.

    Use it from one thread.

    Args:
        client: of a server, behind Sentinel or not, or of a cluster; its `socket_timeout` is how
            long nothing at all may come or go.

    Raises:
        ServiceUnreachable: Redis does not answer.
    """

    def __init__(self, client: RedisClient) -> None:
        self.written = 0
        """Rows that Redis took."""
        self.deleted = 0
        """Rows of which at least one field was deleted."""
        self.refused = 0
        """Rows that Redis refused because their key holds something else than a hash
        (WRONGTYPE)."""
        self.rejected: list[tuple[bytes, str]] = []
        """Key and Redis's words for the first 20 of them."""
        self.client = client  # it would close its connections when it is collected
        self.counting = threading.Lock()
        self.lanes: list[Lane] = []
        try:
            self.lane_of_slot = self.open_lanes(client)
        except BaseException:
            self.close()
            raise

    def open_lanes(self, client: RedisClient) -> npt.NDArray[np.int16] | None:
        """A connection to each node that holds slots; answers the place of its lane for each
        slot."""
        if not isinstance(client, RedisCluster):
            self.lanes.append(Lane(client.connection_pool))
            return None
        refresh(client)
        lane_of_slot, places = np.full(SLOTS, -1, np.int16), dict[str, int]()
        for slot, nodes in client.nodes_manager.slots_cache.items():
            primary = nodes[0]
            if primary.name not in places:
                places[primary.name] = len(self.lanes)
                self.lanes.append(Lane(pool_of(client, primary)))
            lane_of_slot[slot] = places[primary.name]
        return lane_of_slot

    def write(
        self, keys: "pa.BinaryArray", fields: "Sequence[tuple[bytes, pa.BinaryArray | bytes]]"
    ) -> None:
        """Set fields of each key's hash, in this order. Of a key that comes twice the last row
        stays.

        Args:
            keys: one a row.
            fields: name, and one value a row or one for all rows.

        Raises:
            ServiceUnreachable: Redis failed, now or at an earlier row; nothing more is sent.
        """
        self.run([b"HSET", keys, *(part for field in fields for part in field)], self.count_written)

    def delete(self, keys: "pa.BinaryArray", fields: Sequence[bytes]) -> None:
        """Delete fields of each key's hash; raises as `write` does."""
        self.run([b"HDEL", keys, *fields], self.count_deleted)

    def remove(self, keys: "pa.BinaryArray") -> None:
        """Delete each key with all its fields; raises as `write` does."""
        self.run([b"UNLINK", keys], count_nothing)

    def expire(self, keys: "pa.BinaryArray", seconds: int) -> None:
        """Let each key expire; raises as `write` does."""
        self.run([b"EXPIRE", keys, b"%d" % seconds], count_nothing)

    def read(self, keys: "pa.BinaryArray", fields: Sequence[bytes]) -> "list[pa.BinaryArray]":
        """What fields of each key's hash hold, null where there is none: one column a field.

        Waits, and raises as `write` does.
        """
        found = np.full((len(keys), len(fields)), None, object)
        nothing = [None] * len(fields)

        def keep(batch: Batch, replies: list[Any]) -> None:
            fail_on(replies)
            rows = batch.rows[batch.done : batch.done + len(replies)]
            found[rows] = [reply if isinstance(reply, list) else nothing for reply in replies]

        self.run([b"HMGET", keys, *fields], keep)
        self.flush()
        return [pa.array(found[:, place], pa.binary()) for place in range(len(fields))]

    def run(self, parts: list[Part], answered: Callable[[Batch, list[Any]], None]) -> None:
        """Queue one command a row, in the rows' order for every key."""
        keys: pa.BinaryArray = parts[1]
        for start, end in chunks(parts, len(keys)):
            for lane, rows in self.lanes_of(keys, start, end):
                mine = [
                    part if isinstance(part, bytes) else self.pick(part, rows) for part in parts
                ]
                lane.put(Batch(command_stream(mine, len(rows)), mine[1], rows, answered))

    def pick(self, part: "pa.BinaryArray", rows: Rows) -> "pa.BinaryArray":
        """A lane's rows of an argument; a single lane takes them all, without a copy."""
        return (
            part[rows[0] : rows[-1] + 1] if self.lane_of_slot is None else part.take(pa.array(rows))
        )

    def lanes_of(self, keys: "pa.BinaryArray", start: int, end: int) -> Iterator[tuple[Lane, Rows]]:
        """Who takes which of these rows.

        Raises:
            ServiceUnreachable: nobody takes one of them.
        """
        if self.lane_of_slot is None:
            yield self.lanes[0], np.arange(start, end)
            return
        places = self.lane_of_slot[hash_slots(keys[start:end])]
        if places.min() < 0:
            raise unreachable("CLUSTERDOWN no node holds some of the slots")
        for place, lane in enumerate(self.lanes):
            rows = start + np.flatnonzero(places == place)
            if len(rows):
                yield lane, rows

    def count_written(self, batch: Batch, replies: list[Any]) -> None:
        refused = self.count_refused(batch, replies)
        with self.counting:
            self.written += len(replies) - refused

    def count_deleted(self, batch: Batch, replies: list[Any]) -> None:
        self.count_refused(batch, replies)
        deleted = sum(isinstance(reply, int) and reply > 0 for reply in replies)
        with self.counting:
            self.deleted += deleted

    def count_refused(self, batch: Batch, replies: list[Any]) -> int:
        """How many rows Redis refused for their key's sake."""
        refused = fail_on(replies)
        with self.counting:
            self.refused += len(refused)
            for place in refused[: NAMED - len(self.rejected)]:
                self.rejected.append((batch.keys[batch.done + place].as_py(), str(replies[place])))
        return len(refused)

    def flush(self) -> None:
        """Wait until all replies are in; raises as `write` does."""
        for lane in self.lanes:
            lane.flush()

    def close(self) -> None:
        """End the connections; what was not flushed may be lost."""
        for lane in self.lanes:
            lane.close()

    def __enter__(self) -> "BulkWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self.close()


def refresh(client: RedisCluster) -> None:
    """Ask the cluster who holds which slots: a failover may have moved them since the client was
    made."""
    try:
        client.nodes_manager.initialize()
    except REDIS_ERRORS as error:
        raise unreachable(str(error)) from None


def pool_of(client: RedisCluster, node: Any) -> Any:
    try:
        return client.get_redis_connection(node).connection_pool
    except REDIS_ERRORS as error:
        raise unreachable(str(error)) from None


def count_nothing(_: Batch, replies: list[Any]) -> None:
    fail_on(replies)


def fail_on(replies: list[Any]) -> list[int]:
    """Where a key holds another type.

    Raises:
        ServiceUnreachable: Redis refused for another reason, which concerns all rows.
    """
    errors = [place for place, reply in enumerate(replies) if isinstance(reply, Exception)]
    for place in errors:
        if not is_wrong_type(replies[place]):
            raise unreachable(str(replies[place]))
    return errors


def chunks(parts: list[Part], rows: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows that go out together: so many rows, or so many bytes."""
    sizes = sum(
        (lengths(part) for part in parts if not isinstance(part, bytes)), np.zeros(rows, np.int64)
    )
    ends, start = np.cumsum(sizes), 0
    while start < rows:
        sent = ends[start - 1] if start else 0
        fitting = int(np.searchsorted(ends, sent + CHUNK_BYTES, side="right"))
        end = max(start + 1, min(start + CHUNK_ROWS, fitting))
        yield start, end
        start = end
