"""Take entities that left the data out of the online store: Feast writes them, and never deletes one."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from feast import FeatureStore, FeatureView
from feast.infra.online_stores.helpers import _mmh3, _redis_key_prefix

from potluck.contract.errors import ServiceUnreachable
from potluck.contract.redis_format import timestamp_field
from potluck.stores.bulk_writer import BulkWriter
from potluck.stores.online import name_in_redis
from potluck.stores.redis_client import REDIS_ERRORS, RedisClient
from potluck.stores.resp_stream import key_hashes

SCAN_COUNT = 10_000

Hashes = npt.NDArray[np.uint64]


def prune_view(
    client: RedisClient,
    store: FeatureStore,
    view: FeatureView,
    present: Hashes,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> int:
    """Delete a view's features of every entity whose key is not among those present, and answer how many there were.

    Args:
        present: `sorted_hashes` of the Redis keys of the entities that the data holds.
        progress: told `prune <view>` and how many keys were looked at.

    Raises:
        ServiceUnreachable: Redis failed; some may be deleted.
    """
    name, looked_at = name_in_redis(view, store.config), 0
    fields = [timestamp_field(name).encode(), *(_mmh3(f"{name}:{feature.name}") for feature in view.features)]
    with BulkWriter(client) as writer:
        for keys in entity_keys_online(client, store.project, view.join_keys):
            gone = keys.filter(pa.array(~is_among(key_hashes(keys), present))).to_pylist()
            mine = [key for key in gone if project_of(key, len(view.join_keys)) == store.project]
            writer.delete(pa.array(mine, pa.binary()), fields)
            looked_at += len(keys)
            if progress:
                progress(f"prune {view.name}", looked_at, None)
    return writer.deleted


def entity_keys_online(client: RedisClient, project: str, join_keys: Sequence[str]) -> "Iterator[pa.BinaryArray]":
    """Redis keys that look like these entities, some of them perhaps of another project, a block at a time."""
    pattern = glob_escaped(_redis_key_prefix(list(join_keys))) + b"*" + glob_escaped(project.encode())
    found = client.scan_iter(pattern, count=SCAN_COUNT)
    try:
        while block := list(islice(found, SCAN_COUNT)):
            yield pa.array(block, pa.binary())
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(f"Redis went away while its keys were looked at ({error}); run again") from None


def sorted_hashes(parts: list[Hashes]) -> Hashes:
    """Each once, from several arrays."""
    return np.unique(np.concatenate([np.empty(0, np.uint64), *parts]))


def is_among(hashes: Hashes, known: Hashes) -> npt.NDArray[np.bool_]:
    places = np.searchsorted(known, hashes)
    found = np.zeros(len(hashes), np.bool_)
    inside = places < len(known)
    found[inside] = known[places[inside]] == hashes[inside]
    return found


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
    return b"".join(b"\\" + bytes([byte]) if bytes([byte]) in b"*?[]^-\\" else bytes([byte]) for byte in text)
