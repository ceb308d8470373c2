"""Take predictions out of a slot that the run in it did not make: those of entities that left the population."""

from collections.abc import Iterable, Iterator
from itertools import islice

from batch.lease import Lease
from batch.publish import View
from potluck.contract.errors import ServiceUnreachable
from potluck.contract.publication import Pointer, slot_fields, slot_view
from potluck.contract.redis_format import encode_value, timestamp_field
from potluck.stores.prune import entity_pattern, project_of
from potluck.stores.redis_client import REDIS_ERRORS

CHUNK_KEYS = 10_000


def prune_slot(view: View, pointer: Pointer, lease: Lease) -> int:
    """Delete what other runs left in the pointer's slot, and answer of how many entities.

    Raises:
        ServiceUnreachable: Redis went away; the run is published, and the next one prunes.
    """
    publication = view.publication
    features = dict(
        zip((field.name for field in publication.features), slot_fields(publication, pointer.slot), strict=True)
    )
    fields = [timestamp_field(slot_view(publication.view, pointer.slot)).encode(), *features.values()]
    ours = encode_value(pointer.run_id, "string")
    pruned = 0
    try:
        for keys in chunks(entities_of(view), CHUNK_KEYS):
            lease.check()
            gone = [
                key
                for key, run in zip(keys, runs_of(view, keys, features["run_id"]), strict=True)
                if run not in (None, ours)
            ]
            pipe = view.client.pipeline(transaction=False)
            for key in gone:
                pipe.execute_command("HDEL", key, *fields)
            pipe.execute()
            pruned += len(gone)
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(
            f"Redis went away while predictions of former entities were deleted ({error}); the run is published, "
            "and no reader sees them; run `potluck nightly --resume`"
        ) from None
    return pruned


def entities_of(view: View) -> Iterator[bytes]:
    """Redis keys of all entities of the view's kind."""
    pattern = entity_pattern(view.project, [view.publication.key])
    return (key for key in view.client.scan_iter(pattern, count=CHUNK_KEYS) if project_of(key, 1) == view.project)


def runs_of(view: View, keys: list[bytes], field: bytes) -> list[bytes | None]:
    """The run that wrote each entity's row, as its serialized value; None where there is none."""
    pipe = view.client.pipeline(transaction=False)
    for key in keys:
        pipe.execute_command("HGET", key, field)
    return [run if isinstance(run, bytes) else None for run in pipe.execute(raise_on_error=False)]


def chunks(keys: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(keys)
    while chunk := list(islice(rest, size)):
        yield chunk
