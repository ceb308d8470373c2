"""What `potluck materialize` last fed into the online store, for a server that wants to know what
it still gets.

One Redis key per project holds it as JSON: feature view -> the features that were written.
"""

from dataclasses import field
from datetime import datetime

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from potluck.contract.errors import NewerFormat
from potluck.contract.features import FeatureContract
from potluck.contract.formats import NEWEST, Format


@dataclass(frozen=True)
class Feed:
    """One `potluck materialize`."""

    as_of: datetime
    views: dict[str, tuple[str, ...]]
    """Feature view, as it is called in Redis -> features that were written."""
    written_at: dict[str, datetime] = field(default_factory=dict)
    """Feature view -> when it was written last, by whichever run; earlier releases left none."""
    format: Format = NEWEST

    def to_json(self) -> bytes:
        return FEED.dump_json(self)

    def moment_of(self, view: str) -> datetime | None:
        """When a view was written last; the as-of date where an earlier release wrote it."""
        return self.written_at.get(view, self.as_of if view in self.views else None)

    def lacks(self, contract: FeatureContract) -> list[str]:
        """What a model looks up and the store no longer gets, as `view:feature`."""
        return [
            f"{view.name}:{feature}"
            for view in contract.views
            for feature in view.features
            if feature not in self.views.get(view.name, ())
        ]


FEED = TypeAdapter(Feed)


def feed_key(project: str) -> str:
    """Redis key of a project's feed."""
    return f"potluck:{{{project}}}:feed"


def read_feed(stored: bytes | None) -> Feed | None:
    """Decode what lies under `feed_key`; None where nothing was materialized yet, or it can't be
    read."""
    try:
        return None if stored is None else FEED.validate_json(stored)
    except (ValidationError, NewerFormat):
        return None
