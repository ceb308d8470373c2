"""What the online store knows of a request's entities."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from potluck.contract.errors import Detail, EntityNotFound, RequestError, SchemaValidation
from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.redis_format import (
    DamagedValueError,
    decode_timestamp,
    encode_value,
    entity_key_maker,
    is_missing,
    timestamp_field,
)
from potluck.contract.reply_layout import ViewPlace, reply_places, view_places, views_by_keys
from potluck.scoring.picker import picker
from potluck.scoring.plan import Stored
from potluck.scoring.remembered import Remembered
from serving.online.store import Call, KeyCommand, Reply
from serving.services.schema import Record, overridable_names
from serving.services.stored_faults import NO_HASH, stores_fault


@dataclass(frozen=True)
class EntityHash:
    """One hash in Redis: an entity, with every view of it that the service reads."""

    join_keys: tuple[str, ...]
    key: Callable[[Sequence[int | str]], bytes]
    read: KeyCommand
    views: tuple[LookupView, ...]
    places: tuple[ViewPlace, ...]
    refuses: bool
    """Whether an entity that no view knows is an error; else its values are missing."""

    def call(self, record: Record) -> Call:
        return self.read, self.key([record[name] for name in self.join_keys])


Gap = tuple[EntityHash, int]
"""An entity that not all of its views know, and how many of them do."""


class Known(NamedTuple):
    """The stored values of a record's entities, in the order of the contract's online fields."""

    stored: Stored
    overridden: tuple[str, ...] = ()
    """Fields that the request itself brought."""
    not_found: tuple[str, ...] = ()
    """Join keys of the entities that a view does not know, where that is no error."""
    replies: Sequence[Reply] = ()
    """What the online store answered for each entity."""
    looked_up_at: float | None = None
    """Seconds since 1970; the time by which the age of the values was judged."""


class EntityReader:
    """Bound once to a contract: which calls a record needs, and what their replies say."""

    def __init__(self, contract: FeatureContract) -> None:
        self.service = contract.service
        dtypes = {key.name: key.dtype for key in contract.keys}
        self.hashes = [
            entity_hash(contract.project, keys, dtypes, views)
            for keys, views in views_by_keys(contract).items()
        ]
        self.online = contract.online
        self.overridable = overridable_names(contract)
        self.required = [
            place for place, field in enumerate(contract.online) if field.must_be_given
        ]
        self.timestamps = Remembered(decode_timestamp)
        self.in_order = picker(reply_places(contract))

    def calls(self, record: Record) -> list[Call]:
        """One HMGET for each entity that the record names."""
        return [entity.call(record) for entity in self.hashes]

    def known(self, record: Record, replies: Sequence[Reply], now: float) -> Known | RequestError:
        """What the replies to a record's calls say, or why they say nothing.

        Args:
            replies: one for each call of the record.
            now: seconds since 1970; values older than their view's ttl count as missing.
        """
        fresh: list[Sequence[bytes | None]] = []
        gaps: list[Gap] = []
        for entity, reply in zip(self.hashes, replies, strict=True):
            try:
                knowing, values = self.without_stale(entity, reply, now)
            except DamagedValueError as error:
                return stores_fault(self.service, str(error))
            if knowing < len(entity.places):
                gaps.append((entity, knowing))
            fresh.append(values)
        refused = refused_entities(gaps) if gaps else []
        if refused:
            return entities_not_found(refused)
        stored = self.in_order(fresh[0] if len(fresh) == 1 else [*chain.from_iterable(fresh)])
        overridden: tuple[str, ...] = ()
        # Its last name tells for the whole record: see `overridable_names`.
        if next(reversed(record)) in self.overridable:
            stored, overridden = self.overridden(record, stored)
        not_found = join_keys_of(gaps) if gaps else ()
        known = Known(stored, overridden, not_found, replies, now)
        return self.lacking(known) or known if self.required else known

    def without_stale(
        self, entity: EntityHash, reply: Reply, now: float
    ) -> tuple[int, Sequence[bytes | None]]:
        """Take what is stale out of an HMGET's reply.

        Returns:
            How many views know the entity, and the values that count: the reply itself where all
            of it does.

        Raises:
            DamagedValueError: the reply is no list of Feast's values.
        """
        if not isinstance(reply, list):
            raise DamagedValueError(NO_HASH)
        knowing, values = 0, reply
        for place, end, ttl_seconds, nothing in entity.places:
            timestamp = self.timestamps[reply[place]]
            if timestamp is not None:
                knowing += 1
                if not ttl_seconds or now - timestamp <= ttl_seconds:
                    continue
            if values is reply:
                values = reply.copy()  # the reply is logged as it came
            values[place + 1 : end] = nothing
        return knowing, values

    def overridden(self, record: Record, stored: Stored) -> tuple[Stored, tuple[str, ...]]:
        """Put the request's value where it sent one, as the store would hold it.

        Returns:
            The values, and the names of those that the request brought.
        """
        values, names = list(stored), []
        for place, field in enumerate(self.online):
            sent = record.get(field.name)
            if sent is not None:
                values[place] = encode_value(sent, field.dtype)
                names.append(field.name)
        return values, tuple(names)

    def lacking(self, known: Known) -> SchemaValidation | None:
        names = [
            self.online[place].name for place in self.required if is_missing(known.stored[place])
        ]
        reason = "required, and the online store holds no value for this entity: send one"
        return (
            SchemaValidation(reason, tuple(Detail(name, reason) for name in names))
            if names
            else None
        )


def entity_hash(
    project: str, keys: tuple[str, ...], dtypes: Mapping[str, str], views: list[LookupView]
) -> EntityHash:
    fields = [
        field
        for view in views
        for field in (timestamp_field(view.name).encode(), *map(bytes.fromhex, view.field_ids))
    ]
    key = entity_key_maker(project, keys, [dtypes[name] for name in keys])
    refuses = any(view.unknown == "refuse" for view in views)
    return EntityHash(
        keys, key, KeyCommand("HMGET", *fields), tuple(views), view_places(views), refuses
    )


def refused_entities(gaps: Sequence[Gap]) -> list[EntityHash]:
    """Those that no view knows, and whose views want that to be an error."""
    return [entity for entity, knowing in gaps if not knowing and entity.refuses]


def entities_not_found(entities: Sequence[EntityHash]) -> EntityNotFound:
    """One detail for each entity, under its join keys."""
    reason = "the online store knows no such entity"
    message = (
        reason
        if len(entities) == 1
        else f"the online store does not know {len(entities)} of the record's entities"
    )
    return EntityNotFound(
        message, tuple(Detail(", ".join(entity.join_keys), reason) for entity in entities)
    )


def join_keys_of(gaps: Sequence[Gap]) -> tuple[str, ...]:
    """Each join key once."""
    return tuple(dict.fromkeys(chain.from_iterable(entity.join_keys for entity, _ in gaps)))
