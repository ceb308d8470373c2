"""Where the values of a contract's views stand in what the online store answers.

One hash holds an entity with all its views: for each view its timestamp, and behind it its values.
The server reads replies by it, and the decoder of the inference log reads the same replies again.
"""

from collections.abc import Sequence
from typing import NamedTuple

from potluck.contract.features import FeatureContract, LookupView


class ViewPlace(NamedTuple):
    """Where a view stands in its hash's reply: its timestamp, and behind it the values."""

    timestamp: int
    end: int
    ttl_seconds: int
    nothing: list[None]
    """What the values are where they don't count."""


def views_by_keys(contract: FeatureContract) -> dict[tuple[str, ...], list[LookupView]]:
    """Return the views of each entity, in the order in which the entities are asked for."""
    groups: dict[tuple[str, ...], list[LookupView]] = {}
    for view in contract.views:
        groups.setdefault(view.join_keys, []).append(view)
    return groups


def view_places(views: Sequence[LookupView]) -> tuple[ViewPlace, ...]:
    """Return where each of an entity's views stands in its reply."""
    places, start = [], 0
    for view in views:
        end = start + 1 + len(view.features)
        places.append(ViewPlace(start, end, view.ttl_seconds, [None] * len(view.features)))
        start = end
    return tuple(places)


def reply_places(contract: FeatureContract) -> list[int]:
    """Return where each online field stands in the replies of all entities, laid end to end."""
    layout: list[str] = []
    for views in views_by_keys(contract).values():
        for view in views:
            layout += ["", *view.features]  # the timestamp has no name
    return [layout.index(field.name) for field in contract.online]
