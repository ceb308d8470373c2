"""What the online store answered for a row: values, event times, and why a value is missing."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.redis_format import Scalar, decode_timestamp, value_reader
from potluck.contract.reply_layout import ViewPlace, view_places, views_by_keys
from potluck.inference_log.rows import Replies
from potluck.scoring.remembered import Remembered

Status = Literal["PRESENT", "NOT_FOUND", "OUTSIDE_MAX_AGE"]
"""Of a view: a null value of a view that is PRESENT was stored as null."""


class LookedUp(NamedTuple):
    """One row's lookup."""

    values: dict[str, Scalar]
    """Online field -> the value that counted; None where it is missing or too old."""
    event_times: dict[str, float]
    """View -> seconds since 1970."""
    statuses: dict[str, Status]


class LookupReader:
    """Bound once to a contract; reads replies as the server read them."""

    def __init__(self, contract: FeatureContract) -> None:
        fields = {field.name: field for field in contract.online}
        self.entities = [
            [*zip(views, view_places(views), strict=True)]
            for views in views_by_keys(contract).values()
        ]
        self.timestamps = Remembered(decode_timestamp)
        self.value_of = {name: Remembered(value_reader(field)) for name, field in fields.items()}

    def read(self, replies: Replies, looked_up_at: float) -> LookedUp:
        """Return what the replies say.

        Args:
            replies: one for each entity of the row's record.
            looked_up_at: seconds since 1970, by which ages are judged.
        """
        found = LookedUp({}, {}, {})
        for views, reply in zip(self.entities, replies, strict=True):
            for view, place in views:
                self.read_view(view, place, reply, looked_up_at, found)
        return found

    def read_view(
        self,
        view: LookupView,
        place: ViewPlace,
        reply: Sequence[bytes | None],
        looked_up_at: float,
        found: LookedUp,
    ) -> None:
        timestamp: float | None = self.timestamps[reply[place.timestamp]]
        status = status_of(timestamp, place.ttl_seconds, looked_up_at)
        found.statuses[view.name] = status
        if timestamp is not None:
            found.event_times[view.name] = timestamp
        stored: Sequence[Any] = reply[place.timestamp + 1 : place.end]
        if status != "PRESENT":
            stored = place.nothing
        for name, value in zip(view.features, stored, strict=True):
            if name in self.value_of:
                found.values[name] = self.value_of[name][value]


def status_of(timestamp: float | None, ttl_seconds: int, looked_up_at: float) -> Status:
    """Return how a view's record counts, by the rule of the server.

    Args:
        timestamp: seconds since 1970; None where there is no record.
        ttl_seconds: 0 means that none is too old.
    """
    if timestamp is None:
        return "NOT_FOUND"
    if ttl_seconds and looked_up_at - timestamp > ttl_seconds:
        return "OUTSIDE_MAX_AGE"
    return "PRESENT"
