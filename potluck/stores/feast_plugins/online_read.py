"""From Redis's replies to Feast's rows: an entity that is not there is not found, an old value is
none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from feast import FeatureView, RepoConfig, utils
from feast.infra.online_stores.helpers import _mmh3
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus, GetOnlineFeaturesResponse
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from potluck.contract.publication import RUN_ID, Pointer, read_pointer, slot_view
from potluck.contract.redis_format import NULL, decode_timestamp, timestamp_field
from potluck.redis.client import is_wrong_type
from potluck.stores.feast_plugins.view_names import name_in_redis

Row = tuple[datetime | None, dict[str, Value] | None]
"""Feast's: no features where the entity is not found, or (with its timestamp) where it is too
old."""

Asked = tuple[list[bytes], list[list[int]], int]
"""Redis keys of a view's entities, where each stands in the response, and the response's length."""

Commands = list[tuple[bytes, list[bytes]]]


@dataclass(frozen=True)
class Reading:
    """What one request reads of one view."""

    features: list[str]
    fields: list[bytes]
    """Hash field of each feature, then the timestamp's, then the run's where the view is a
    published one."""
    ttl: timedelta | None
    run_id: str | None

    def row(self, reply: Any, now: datetime) -> Row:
        """One entity's row.

        Args:
            reply: an HMGET's, or the error that came in its place.

        Raises:
            ResponseError: Redis refused for another reason than what the key holds.
        """
        if isinstance(reply, Exception):
            if is_wrong_type(reply):
                return None, None
            raise reply
        if not any(part is not None for part in reply) or not self.is_of_the_published_run(reply):
            return None, None
        try:
            moment = event_time(reply[len(self.features)])
        except (OverflowError, OSError, ValueError):
            return None, None
        if self.ttl and now - moment > self.ttl:
            return moment, None
        return moment, sound_values(self.features, reply)

    def is_of_the_published_run(self, reply: list[bytes | None]) -> bool:
        if self.run_id is None:
            return True
        try:
            return bool(Value.FromString(reply[-1] or b"").string_val == self.run_id)
        except DecodeError:
            return False


def reading(
    view: FeatureView, name: str, features: Sequence[str] | None, pointer: Pointer | None
) -> Reading:
    """Plan to read features of a view, from the published slot where there is one.

    Args:
        name: the view's name in Redis.
    """
    features = list(features or [feature.name for feature in view.features])
    stored = name if pointer is None else slot_view(name, pointer.slot)
    fields = [
        *(_mmh3(f"{stored}:{feature}") for feature in features),
        timestamp_field(stored).encode(),
    ]
    if pointer is not None:
        fields.append(_mmh3(f"{stored}:{RUN_ID}"))
    run_id = None if pointer is None else pointer.run_id
    return Reading(features, fields, getattr(view, "ttl", None), run_id)


def readings(
    config: RepoConfig,
    asked: Iterable[tuple[FeatureView, list[str] | None]],
    stored: Sequence[Any],
) -> list[Reading]:
    """What to read of each view, given what lies under its pointer's key."""
    return [
        reading(view, name_in_redis(view, config), features, pointer_of(pointer))
        for (view, features), pointer in zip(asked, stored, strict=True)
    ]


def event_time(stored: bytes | None) -> datetime:
    """When the stored values were true; 1970 where nothing says it, as in stock Feast."""
    return datetime.fromtimestamp(decode_timestamp(stored) or 0, UTC)


def sound_values(features: Sequence[str], reply: list[bytes | None]) -> dict[str, Value]:
    """The values that are there and whole; Feast's explicit null becomes the empty one, which it
    reads as None."""
    found = {}
    for name, stored in zip(features, reply, strict=False):
        if stored is not None:
            try:
                found[name] = Value.FromString(b"" if stored == NULL else stored)
            except DecodeError:
                continue
    return found


def mark_expired(
    response: GetOnlineFeaturesResponse,
    features: int,
    rows: Sequence[Row],
    places: Sequence[Sequence[int]],
) -> None:
    """Tell in the response which rows are too old: Feast's own code calls them not found.

    Args:
        features: how many columns were just added to the response.
        places: where each row stands in the response.
    """
    expired = [
        place
        for (moment, values), at in zip(rows, places, strict=True)
        if moment and values is None
        for place in at
    ]
    for column in response.results[-features:] if features and expired else ():
        for place in expired:
            column.statuses[place] = FieldStatus.OUTSIDE_MAX_AGE


def pointer_of(stored: Any) -> Pointer | None:
    """What lies under a pointer's key, or the error that came for it."""
    if isinstance(stored, Exception) and not is_wrong_type(stored):
        raise stored
    return read_pointer(stored) if isinstance(stored, bytes) else None


def commands_of(plans: list[Reading], asked: list[Asked]) -> Commands:
    return [
        (key, plan.fields) for plan, (keys, _, _) in zip(plans, asked, strict=True) for key in keys
    ]


def rows_of(plan: Reading, replies: list[Any]) -> list[Row]:
    now = datetime.now(UTC)
    return [plan.row(reply, now) for reply in replies]


def feature_response(
    response: Any,
    grouped_refs: list[tuple[FeatureView, list[str]]],
    plans: list[Reading],
    asked: list[Asked],
    replies: list[Any],
    *,
    full_feature_names: bool,
    include_feature_view_version_metadata: bool,
) -> None:
    """Put the rows of every view into Feast's response."""
    rest = iter(replies)
    for (view, _), plan, (keys, places, length) in zip(grouped_refs, plans, asked, strict=True):
        rows = rows_of(plan, [next(rest) for _ in keys])
        utils._populate_response_from_feature_data(
            plan.features,
            rows,
            places,
            response,
            full_feature_names,
            view,
            length,
            include_feature_view_version_metadata,
        )
        mark_expired(response, len(plan.features), rows, places)
