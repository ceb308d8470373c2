"""Before anything is written: will the run fit into Redis?

What a prediction takes is tried on copies of some entities, with commands that read and write hashes.
How much memory there is only INFO tells, which a Redis user may lack (it is in @dangerous): then the run
goes on, and says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import redis

from batch.publish import View, stored_fields
from potluck.contract.errors import Refused, ServiceUnreachable
from potluck.contract.publication import Pointer, publication_key
from potluck.redis.client import REDIS_ERRORS, RedisClient

MARGIN = 1.1
"""For what grows with the keys and is not counted with them: Redis' own tables, and the copies of a rehash."""


@dataclass(frozen=True)
class Estimate:
    """Bytes of Redis memory, over all primaries."""

    needed: int
    used: int
    limit: int
    """0 is none."""
    unknown: str = ""
    """Why nothing was looked at; empty where it was."""

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
        needed = int(growth_per_row(view, sample, pointer) * rows * MARGIN) if limit else 0
    except redis.exceptions.NoPermissionError as error:
        told = "whether the run fits into Redis' memory was not checked"
        return Estimate(0, 0, 0, f"{told}: {error}; it needs INFO and MEMORY USAGE")
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(f"Redis did not say how much memory is left: {error}") from None
    estimate = Estimate(needed, used, limit)
    if not estimate.fits:
        raise Refused(
            f"the run would pass Redis' maxmemory: {rows} rows take about {megabytes(needed)} more, "
            f"{megabytes(used)} of {megabytes(limit)} are used; nothing was written. "
            "Raise maxmemory, or take entities out of the store"
        )
    return estimate


def memory_of(client: RedisClient) -> tuple[int, int]:
    """Bytes used and allowed, of all primaries together."""
    infos = [node.info("memory") for node in primaries(client)]
    limits = [int(info["maxmemory"]) for info in infos]
    return sum(int(info["used_memory"]) for info in infos), sum(limits) if all(limits) else 0


def primaries(client: RedisClient) -> Iterator[Any]:
    if isinstance(client, redis.Redis):
        yield client
        return
    for node in client.get_primaries():
        yield client.get_redis_connection(node)


def growth_per_row(view: View, sample: pa.Table, pointer: Pointer) -> float:
    """Mean growth of an entity's hash, in bytes: what lies there and what would be added differ from row to row."""
    fields = stored_fields(view.publication, sample, pointer)
    columns = [
        value.to_pylist() if isinstance(value, pa.Array) else [value] * sample.num_rows
        for _, value in fields
    ]
    names = [name for name, _ in fields]
    scratch = publication_key(view.project, view.publication.view, "preflight").encode()
    grown = [
        growth(view.client, key, scratch, dict(zip(names, values, strict=True)))
        for key, *values in zip(view.keys(sample).to_pylist(), *columns, strict=True)
    ]
    return sum(grown) / max(1, len(grown))


def growth(client: Any, key: bytes, scratch: bytes, fields: dict[bytes, bytes]) -> int:
    """Bytes that a hash takes more with these fields, tried on a copy under another name."""
    try:
        held = client.hgetall(key)
    except redis.ResponseError as error:
        if not str(error).startswith("WRONGTYPE"):
            raise
        return 0  # the key holds something else: it will be left as it is
    client.delete(scratch)  # of a run that was killed just here
    try:
        if held:
            client.hset(scratch, mapping=held)
        before = client.memory_usage(scratch) or 0
        client.hset(scratch, mapping=fields)
        grown = int(client.memory_usage(scratch) or 0) - int(before)
        return max(0, grown + (0 if held else len(key) - len(scratch)))
    finally:
        client.delete(scratch)


def megabytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
