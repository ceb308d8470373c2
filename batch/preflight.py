"""Before anything is written: will the run fit into Redis?

What a prediction takes is tried on copies of some entities, with commands that read and write
hashes. How much memory there is, only INFO tells. A Redis user may lack INFO, as it is in the ACL
category @dangerous: then the run goes on, and its manifest says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import redis

from batch.publish import stored_fields, values_of
from batch.view import View
from potluck.contract.errors import Refused, ServiceUnreachable
from potluck.contract.publication import Pointer, publication_key
from potluck.redis.client import REDIS_ERRORS, RedisClient, is_wrong_type

MARGIN = 1.1
"""Factor for what grows with the keys and MEMORY USAGE does not count: Redis' own hash tables, and
their copies while it rehashes."""


@dataclass(frozen=True)
class Estimate:
    """Bytes of Redis memory, over all primaries."""

    needed: int
    used: int
    limit: int
    """0 where memory is not limited."""
    unknown: str = ""
    """Why memory could not be looked at; empty where it was."""

    @property
    def fits(self) -> bool:
        return not self.limit or self.used + self.needed <= self.limit


def check_memory(view: View, sample: pa.Table, pointer: Pointer, rows: int) -> Estimate:
    """Refuse a run that would fill Redis up.

    Args:
        sample: some scored rows; what writing each takes is tried on a copy of its entity.
        rows: of the whole run.

    Raises:
        Refused: `maxmemory` would be passed.
        ServiceUnreachable: Redis does not answer.
    """
    try:
        used, limit = memory_of(view.client)
        if not limit:
            return Estimate(0, used, limit)
        needed = int(growth_per_row(view, sample, pointer) * rows * MARGIN)
    except redis.exceptions.NoPermissionError as error:
        told = "whether the run fits into Redis' memory was not checked"
        return Estimate(0, 0, 0, f"{told}: {error}; it needs INFO and MEMORY USAGE")
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(f"Redis did not say how much memory is left: {error}") from None
    estimate = Estimate(needed, used, limit)
    if not estimate.fits:
        raise Refused(
            f"the run would pass Redis' maxmemory: {rows} rows take about {megabytes(needed)} "
            f"more, {megabytes(used)} of {megabytes(limit)} are used; nothing was written. "
            "Raise maxmemory, or take entities out of the store"
        )
    return estimate


def memory_of(client: RedisClient) -> tuple[int, int]:
    """Ask for the bytes used and allowed, of all primaries together.

    Returns:
        Used, and allowed: 0 where one primary has no limit.
    """
    used, limits = 0, list[int]()
    for node in primaries(client):
        info = node.info("memory")
        used += int(info["used_memory"])
        limits.append(int(info["maxmemory"]))
    return used, sum(limits) if all(limits) else 0


def primaries(client: RedisClient) -> Iterator[Any]:
    if isinstance(client, redis.Redis):
        yield client
        return
    for node in client.get_primaries():
        yield client.get_redis_connection(node)


def growth_per_row(view: View, sample: pa.Table, pointer: Pointer) -> float:
    """Measure the mean growth of an entity's hash, in bytes.

    A mean over several rows, as what lies there and what would be added differ from row to row.
    """
    rows: int = sample.num_rows
    if not rows:
        return 0.0
    names, columns = list[bytes](), list[list[bytes]]()
    for name, value in stored_fields(view.publication, sample, pointer):
        names.append(name)
        columns.append(values_of(value, rows))
    scratch = publication_key(view.project, view.publication.view, "preflight").encode()
    grown = 0
    for key, *values in zip(view.keys(sample).to_pylist(), *columns, strict=True):
        grown += growth(view.client, key, scratch, dict(zip(names, values, strict=True)))
    return grown / rows


def growth(client: Any, key: bytes, scratch: bytes, fields: dict[bytes, bytes]) -> int:
    """Measure how many bytes more a hash takes with these fields, on a copy under another name."""
    try:
        held = client.hgetall(key)
    except redis.ResponseError as error:
        if not is_wrong_type(error):
            raise
        return 0  # the key holds something else: it will be left as it is
    client.delete(scratch)  # of a run that was killed just here
    try:
        if held:
            client.hset(scratch, mapping=held)
        before = client.memory_usage(scratch) or 0
        client.hset(scratch, mapping=fields)
        grown = int(client.memory_usage(scratch) or 0) - int(before)
        if not held:
            # A hash that is new takes its key's name too, and the copy's name is of another length.
            grown += len(key) - len(scratch)
        return max(0, grown)
    finally:
        client.delete(scratch)


def megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
