"""Take predictions out of a slot that the run in it did not make: those of entities that left the population."""

from collections.abc import Iterable, Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc

from batch.lease import Lease
from batch.publish import View
from potluck.contract.errors import ServiceUnreachable
from potluck.contract.publication import Pointer, slot_fields, slot_view
from potluck.contract.redis_format import encode_value, entity_key_head, timestamp_field
from potluck.stores.bulk_writer import BulkWriter
from potluck.stores.prune import glob_escaped, project_of
from potluck.stores.redis_client import REDIS_ERRORS

CHUNK_KEYS = 10_000


def prune_slot(view: View, pointer: Pointer, lease: Lease) -> int:
    """Delete what other runs left in the pointer's slot, and answer of how many entities.

    Raises:
        ServiceUnreachable: Redis went away; the run is published, and the next one prunes.
    """
    publication = view.publication
    names = [field.name for field in publication.features]
    features = dict(zip(names, slot_fields(publication, pointer.slot), strict=True))
    fields = [timestamp_field(slot_view(publication.view, pointer.slot)).encode(), *features.values()]
    ours = encode_value(pointer.run_id, "string")
    try:
        with BulkWriter(view.client) as store:
            for found in chunks(entities_of(view), CHUNK_KEYS):
                lease.check()
                keys = pa.array(found, pa.binary())
                store.delete(keys.filter(pc.not_equal(store.read(keys, features["run_id"]), ours)), fields)
            store.flush()
            return store.deleted
    except (ServiceUnreachable, *REDIS_ERRORS) as error:
        raise ServiceUnreachable(
            f"predictions of former entities could not be deleted ({error}); the run is published, and no reader "
            "sees them; run `potluck nightly --resume`"
        ) from None


def entities_of(view: View) -> Iterator[bytes]:
    """Redis keys of all entities of the view's kind."""
    head, project = entity_key_head([view.publication.key.name]), view.project.encode()
    pattern = glob_escaped(head) + b"*" + glob_escaped(project)
    return (key for key in view.client.scan_iter(pattern, count=CHUNK_KEYS) if project_of(key, 1) == view.project)


def chunks(keys: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(keys)
    while chunk := list(islice(rest, size)):
        yield chunk
