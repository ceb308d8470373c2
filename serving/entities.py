"""What the online store knows of a request's entities."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from potluck.contract.errors import Detail, EntityNotFound, FeatureStoreUnavailable, RequestError, SchemaValidation
from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.redis_format import (
    DamagedValueError,
    decode_timestamp,
    encode_value,
    entity_key_maker,
    is_missing,
    timestamp_field,
)
from potluck.scoring.plan import Remembered, Stored, picker
from serving.online import Call, KeyCommand, Reply
from serving.schema import Record

NO_FEATURES = "the online store holds something else than features for this entity"


@dataclass(frozen=True)
class EntityHash:
    """One hash in Redis: an entity, with every view of it that the service reads."""

    join_keys: tuple[str, ...]
    key: Callable[[Sequence[int | str]], bytes]
    read: KeyCommand
    views: tuple[LookupView, ...]

    def call(self, record: Record) -> Call:
        return self.read, self.key([record[name] for name in self.join_keys])


class Known(NamedTuple):
    """The stored values of a record's entities, in the order of the contract's online fields."""

    stored: Stored
    overridden: tuple[str, ...]
    """Fields that the request itself brought."""


class EntityReader:
    """Bound once to a contract: which calls a record needs, and what their replies say."""

    def __init__(self, contract: FeatureContract) -> None:
        dtypes = {key.name: key.dtype for key in contract.keys}
        groups = dict.fromkeys(view.join_keys for view in contract.views)
        self.hashes = [
            entity_hash(contract.project, keys, dtypes, [view for view in contract.views if view.join_keys == keys])
            for keys in groups
        ]
        self.online = contract.online
        self.names = frozenset(field.name for field in contract.online)
        self.required = [place for place, field in enumerate(contract.online) if field.required and not field.default]
        self.timestamps = Remembered(decode_timestamp)
        self.in_order = picker(reply_places(self.hashes, [field.name for field in contract.online]))

    def calls(self, record: Record) -> list[Call]:
        """One HMGET for each entity that the record names."""
        return [entity.call(record) for entity in self.hashes]

    def known(self, record: Record, replies: Sequence[Reply], now: float) -> Known | RequestError:
        """What the replies to a record's calls say, or why they say nothing.

        Args:
            replies: one for each call of the record.
            now: seconds since 1970; values older than their view's ttl count as missing.
        """
        fresh: list[Stored] = []
        for entity, reply in zip(self.hashes, replies, strict=True):
            try:
                values = self.fresh(entity, reply, now)
            except DamagedValueError:
                return FeatureStoreUnavailable(NO_FEATURES)
            if values is None:
                reason = "the online store knows no such entity"
                return EntityNotFound(reason, tuple(Detail(name, reason) for name in entity.join_keys))
            fresh.append(values)
        stored = self.in_order(fresh[0] if len(fresh) == 1 else [*chain.from_iterable(fresh)])
        # A checked record keeps its schema's order, in which the looked-up fields come last.
        known = self.overridden(record, stored) if next(reversed(record)) in self.names else Known(stored, ())
        return self.lacking(known) or known if self.required else known

    def fresh(self, entity: EntityHash, reply: Reply, now: float) -> Stored | None:
        """An HMGET's reply with what is stale taken out; None where no view knows the entity.

        Raises:
            DamagedValueError: the reply is no list of Feast's values.
        """
        if not isinstance(reply, list):
            raise DamagedValueError(NO_FEATURES)
        known, position = False, 0
        for view in entity.views:
            timestamp, end = self.timestamps[reply[position]], position + 1 + len(view.features)
            known |= timestamp is not None
            if timestamp is None or (view.ttl_seconds and now - timestamp > view.ttl_seconds):
                reply[position + 1 : end] = [None] * len(view.features)
            position = end
        return reply if known else None

    def overridden(self, record: Record, stored: Stored) -> Known:
        """The request's value where it sent one, as the store would hold it."""
        values, names = list(stored), []
        for place, field in enumerate(self.online):
            sent = record.get(field.name)
            if sent is not None:
                values[place] = encode_value(sent, field.dtype)
                names.append(field.name)
        return Known(values, tuple(names))

    def lacking(self, known: Known) -> SchemaValidation | None:
        names = [self.online[place].name for place in self.required if is_missing(known.stored[place])]
        reason = "required, and the online store holds no value for this entity: send one"
        return SchemaValidation(reason, tuple(Detail(name, reason) for name in names)) if names else None


def entity_hash(project: str, keys: tuple[str, ...], dtypes: Mapping[str, str], views: list[LookupView]) -> EntityHash:
    fields = [
        field for view in views for field in (timestamp_field(view.name).encode(), *map(bytes.fromhex, view.field_ids))
    ]
    key = entity_key_maker(project, keys, [dtypes[name] for name in keys])
    return EntityHash(keys, key, KeyCommand("HMGET", *fields), tuple(views))


def reply_places(hashes: Sequence[EntityHash], names: Sequence[str]) -> list[int]:
    """Where each field stands in the replies, laid end to end: behind its view's timestamp."""
    layout = [name for entity in hashes for view in entity.views for name in ("", *view.features)]
    return [layout.index(name) for name in names]
