"""Take entities that left the data out of the online store: Feast writes them, and never deletes
one."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from feast import FeatureStore, FeatureView

from potluck.redis.bulk_writer import BulkWriter
from potluck.redis.client import RedisClient
from potluck.redis.key_scan import entity_keys_like, entity_keys_of, of_project
from potluck.redis.resp_stream import key_hashes
from potluck.stores.feast_plugins.view_names import name_in_redis, own_fields, view_fields
from potluck.stores.feast_plugins.view_writer import is_pushed

Hashes = npt.NDArray[np.uint64]


def prune_view(
    client: RedisClient,
    store: FeatureStore,
    view: FeatureView,
    present: Hashes,
    progress: Callable[[str, int, int | None], None] | None = None,
    *,
    among: "pa.BinaryArray | None" = None,
) -> int:
    """`prune_fields` of a view; entities that were pushed stay, as the data never had to hold them.

    Args:
        progress: told `prune <view>` and how many keys were looked at.
        among: as `prune_fields` has it.
    """

    def tell(looked_at: int) -> None:
        if progress:
            progress(f"prune {view.name}", looked_at, None)

    fields, stamp_and_mark = (
        view_fields(view, store.config),
        own_fields(name_in_redis(view, store.config)),
    )
    return prune_fields(
        client,
        store.project,
        view.join_keys,
        fields,
        present,
        tell,
        spared=stamp_and_mark,
        among=among,
    )


def prune_fields(
    client: RedisClient,
    project: str,
    join_keys: Sequence[str],
    fields: Sequence[bytes],
    present: Hashes,
    tell: Callable[[int], None],
    *,
    spared: Sequence[bytes] = (),
    among: "pa.BinaryArray | None" = None,
) -> int:
    """Delete fields of every entity whose key is not among those present, and answer how many
    entities had one.

    Args:
        present: `sorted_hashes` of the Redis keys of the entities that the data holds.
        tell: told now and then how many keys were looked at.
        spared: two fields, a timestamp's and a push's mark; an entity in which they are equal
            stays.
        among: the keys to look at, where somebody has looked for them already; else all of the
            project.

    Raises:
        ServiceUnreachable: Redis failed; some may be deleted.
    """
    looked_at = 0
    with BulkWriter(client) as writer:
        for keys in entity_keys_like(client, project, join_keys) if among is None else [among]:
            gone = of_project(
                keys.filter(pa.array(~is_among(key_hashes(keys), present))), project, len(join_keys)
            )
            if spared and len(gone):
                gone = gone.filter(pa.array(~is_pushed(*writer.read(gone, spared))))
            writer.delete(gone, fields)
            looked_at += len(keys)
            tell(looked_at)
    return writer.deleted


def forget_fields(
    client: RedisClient, project: str, join_keys: Sequence[str], fields: Sequence[bytes]
) -> None:
    """Delete fields of every entity.

    Raises:
        ServiceUnreachable: Redis failed; some may be deleted.
    """
    with BulkWriter(client) as writer:
        for keys in entity_keys_of(client, project, join_keys):
            writer.delete(keys, fields)


def sorted_hashes(parts: Iterable[Hashes]) -> Hashes:
    """Each once, from several arrays."""
    hashes = np.concatenate([np.empty(0, np.uint64), *parts])
    hashes.sort()  # numpy's own unique takes twenty times as long, and more memory
    first = np.append(True, hashes[1:] != hashes[:-1])[: len(hashes)]
    return hashes if first.all() else hashes[first]


def is_among(hashes: Hashes, known: Hashes) -> npt.NDArray[np.bool_]:
    order = np.argsort(hashes)  # in order they meet the known ones in order, which the cache likes
    wanted = hashes[order]
    places = np.searchsorted(known, wanted)
    inside = places < len(known)
    found = np.zeros(len(hashes), np.bool_)
    found[order[inside]] = known[places[inside]] == wanted[inside]
    return found
