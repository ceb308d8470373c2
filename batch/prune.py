"""Delete predictions of entities that left the population: no run in the slot made them."""

from collections.abc import Iterable

import pyarrow as pa

from batch.lease import Lease
from batch.publish import predicted_rows
from batch.view import View
from potluck.contract.errors import ServiceUnreachable
from potluck.contract.publication import Pointer, slot_fields, slot_view
from potluck.contract.redis_format import timestamp_field
from potluck.redis.resp_stream import key_hashes
from potluck.stores.feast_plugins.prune import prune_fields, sorted_hashes


def prune_slot(view: View, tables: Iterable[pa.Table], pointer: Pointer, lease: Lease) -> int:
    """Delete what earlier runs left in the pointer's slot.

    Args:
        tables: all rows that the pointer's run scored.

    Returns:
        How many entities had predictions of earlier runs.

    Raises:
        ServiceUnreachable: Redis went away; the run is published, and the next one prunes.
    """
    publication = view.publication
    stamp = timestamp_field(slot_view(publication.view, pointer.slot)).encode()
    fields = [stamp, *slot_fields(publication, pointer.slot)]
    present = sorted_hashes(key_hashes(view.keys(predicted_rows(table))) for table in tables)
    keys = [publication.key.name]

    def check_lease(looked_at: int) -> None:
        lease.check()

    try:
        return prune_fields(view.client, view.project, keys, fields, present, check_lease)
    except ServiceUnreachable as error:
        raise ServiceUnreachable(
            f"predictions of former entities could not be deleted ({error}); the run is "
            "published, and no reader sees them; run `potluck nightly --resume`"
        ) from None
