"""What the online store knows of a request's entities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from potluck.contract.errors import Detail, EntityNotFound, FeatureStoreUnavailable, RequestError
from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.redis_format import Scalar, decode_timestamp, decode_value, entity_key, timestamp_field
from serving.online import Command, Reply
from serving.schema import Record


@dataclass(frozen=True)
class EntityHash:
    """One hash in Redis: an entity, with every view of it that the service reads."""

    join_keys: tuple[str, ...]
    dtypes: tuple[str, ...]
    views: tuple[LookupView, ...]
    fields: tuple[bytes, ...]


class EntityReader:
    """Bound once to a contract: which commands a record needs, and what their replies say."""

    def __init__(self, contract: FeatureContract) -> None:
        self.project = contract.project
        dtypes = {key.name: key.dtype for key in contract.keys}
        groups = dict.fromkeys(view.join_keys for view in contract.views)
        self.hashes = [
            entity_hash(keys, dtypes, [view for view in contract.views if view.join_keys == keys]) for keys in groups
        ]

    def commands(self, record: Record) -> list[Command]:
        """One HMGET for each entity that the record names."""
        return [("HMGET", self.key(record, entity), *entity.fields) for entity in self.hashes]

    def key(self, record: Record, entity: EntityHash) -> bytes:
        return entity_key(self.project, entity.join_keys, [record[name] for name in entity.join_keys], entity.dtypes)

    def values(self, replies: Sequence[Reply], now: float) -> dict[str, Scalar] | RequestError:
        """The looked-up fields by name, or why there are none.

        Args:
            replies: one for each command of the record.
            now: seconds since 1970; values older than their view's ttl count as missing.
        """
        found: dict[str, Scalar] = {}
        for entity, reply in zip(self.hashes, replies, strict=True):
            try:
                known = read_hash(entity, reply, now)
            except ValueError:
                return FeatureStoreUnavailable("the online store holds something else than features for this entity")
            if known is None:
                reason = "the online store knows no such entity"
                return EntityNotFound(reason, tuple(Detail(name, reason) for name in entity.join_keys))
            found.update(known)
        return found


def entity_hash(keys: tuple[str, ...], dtypes: Mapping[str, str], views: list[LookupView]) -> EntityHash:
    fields = [
        field for view in views for field in (timestamp_field(view.name).encode(), *map(bytes.fromhex, view.field_ids))
    ]
    return EntityHash(keys, tuple(dtypes[name] for name in keys), tuple(views), tuple(fields))


def read_hash(entity: EntityHash, reply: Reply, now: float) -> dict[str, Scalar] | None:
    """Decode an HMGET's reply; None where no view knows the entity.

    Raises:
        ValueError: the reply is no list of Feast's values.
    """
    if not isinstance(reply, list):
        raise ValueError("expected a hash")
    found: dict[str, Scalar] = {}
    known, position = False, 0
    for view in entity.views:
        timestamp = decode_timestamp(reply[position])
        stored = reply[position + 1 : position + 1 + len(view.features)]
        position += 1 + len(view.features)
        known |= timestamp is not None
        fresh = timestamp is not None and (not view.ttl_seconds or now - timestamp <= view.ttl_seconds)
        values = map(decode_value, stored) if fresh else [None] * len(stored)
        found.update(zip(view.features, values, strict=True))
    return found if known else None
