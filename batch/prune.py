"""Take predictions out of a slot that the run in it did not make: those of entities that left the population."""

import pyarrow.compute as pc

from batch.lease import Lease
from batch.publish import View
from potluck.contract.errors import ServiceUnreachable
from potluck.contract.publication import Pointer, slot_fields, slot_view
from potluck.contract.redis_format import encode_value, timestamp_field
from potluck.stores.bulk_writer import BulkWriter
from potluck.stores.redis_names import entity_keys_of


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
            for keys in entity_keys_of(view.client, view.project, [publication.key.name]):
                lease.check()
                store.delete(keys.filter(pc.not_equal(store.read(keys, features["run_id"]), ours)), fields)
            store.flush()
            return store.deleted
    except ServiceUnreachable as error:
        raise ServiceUnreachable(
            f"predictions of former entities could not be deleted ({error}); the run is published, and no reader "
            "sees them; run `potluck nightly --resume`"
        ) from None
