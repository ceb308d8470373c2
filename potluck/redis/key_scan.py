"""Finding the entities of a project in Redis by their keys, without Feast."""

from collections.abc import Iterator, Sequence
from itertools import islice

import pyarrow as pa

from potluck.contract.errors import ServiceUnreachable
from potluck.contract.redis_format import STRING_TYPE, entity_key_head
from potluck.redis.client import REDIS_ERRORS, RedisClient

SCAN_COUNT = 1_000
"""Keys that Redis looks at in one go, while nobody else is answered: half a millisecond."""
BLOCK_KEYS = 50_000
INTEGER_TYPES = (3, 4, 8)


def entity_keys_of(
    client: RedisClient, project: str, join_keys: Sequence[str]
) -> "Iterator[pa.BinaryArray]":
    """Redis keys of a project's entities, a block at a time; raises as `entity_keys_like` does."""
    for keys in entity_keys_like(client, project, join_keys):
        yield of_project(keys, project, len(join_keys))


def entity_keys_like(
    client: RedisClient, project: str, join_keys: Sequence[str]
) -> "Iterator[pa.BinaryArray]":
    """Redis keys that look like these entities, some of them perhaps of another project, a block at
    a time.

    Raises:
        ServiceUnreachable: Redis went away.
    """
    pattern = glob_escaped(entity_key_head(join_keys)) + b"*" + glob_escaped(project.encode())
    found = client.scan_iter(pattern, count=SCAN_COUNT)
    try:
        while block := list(islice(found, BLOCK_KEYS)):
            yield pa.array(block, pa.binary())
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(
            f"Redis went away while its keys were looked at ({error}); run again"
        ) from None


def of_project(keys: "pa.BinaryArray", project: str, join_keys: int) -> "pa.BinaryArray":
    """Those keys that end with exactly this project."""
    return pa.array(
        [key for key in keys.to_pylist() if project_of(key, join_keys) == project], pa.binary()
    )


def project_of(name: bytes, keys: int) -> str:
    """The project behind an entity's key: a pattern can't tell `rent` from `current`.

    Args:
        name: a Redis key that begins as the entity keys of `keys` join keys do.
    """
    rest = name[4:]
    for _ in range(2 * keys):  # names first, then values, each with its type and length
        length = int.from_bytes(rest[4:8], "little")
        rest = rest[8 + length :]
    return rest.decode(errors="replace")


def glob_escaped(text: bytes) -> bytes:
    """Bytes that Redis matches as they are."""
    return b"".join(
        b"\\" + bytes([byte]) if bytes([byte]) in b"*?[]^-\\" else bytes([byte]) for byte in text
    )


def readable_key(key: bytes) -> str:
    """The entity of a Redis key for people: `Id=91`."""
    rest, count = key[4:], int.from_bytes(key[:4], "little")
    found: list[str] = []
    for _ in range(2 * count):  # names first, then values, each with its type and length
        kind, length = int.from_bytes(rest[:4], "little"), int.from_bytes(rest[4:8], "little")
        value, rest = rest[8 : 8 + length], rest[8 + length :]
        found.append(readable_value(kind, value))
    return ", ".join(
        f"{name}={value}" for name, value in zip(found[:count], found[count:], strict=True)
    )


def readable_value(kind: int, value: bytes) -> str:
    if kind in INTEGER_TYPES:
        return str(int.from_bytes(value, "little", signed=True))
    return value.decode(errors="replace") if kind == STRING_TYPE else value.hex()
