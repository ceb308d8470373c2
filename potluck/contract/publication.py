"""How a nightly run becomes visible: two slots per precomputed view, and one pointer that says which is read.

A run writes the slot that nobody reads, then moves the pointer. Every stored prediction carries its run's id, so that a
reader can tell a row of the published run from one that another run left behind.
"""

from datetime import UTC, datetime
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

Slot = Literal["a", "b"]
SLOTS: tuple[Slot, ...] = ("a", "b")


@dataclass(frozen=True)
class Pointer:
    """The published run of one precomputed view."""

    slot: Slot
    run_id: str
    as_of: datetime
    model_version: str
    rows: int
    published_at: datetime | None = None
    """When readers were switched to it."""

    def to_json(self) -> bytes:
        return POINTER.dump_json(self)

    def age_seconds(self, now: datetime) -> float:
        """Seconds since the as-of date: how old the records behind the predictions may be."""
        return (now - self.as_of.astimezone(UTC)).total_seconds()


POINTER = TypeAdapter(Pointer)


def read_pointer(stored: bytes | None) -> Pointer | None:
    """Decode what lies under `pointer_key`; None where nothing was published yet, or where it can't be read.

    A damaged pointer publishes nothing; the next nightly run puts a sound one in its place.
    """
    try:
        return None if stored is None else POINTER.validate_json(stored)
    except ValidationError:
        return None


def pointer_key(project: str, view: str) -> str:
    """Redis key of the pointer."""
    return f"potluck:{project}:{view}:published"


def slot_view(view: str, slot: Slot) -> str:
    """The view's name inside the entity's hash while it lies in a slot."""
    return f"{view}__{slot}"


def idle_slot(pointer: Pointer | None) -> Slot:
    """The slot that no reader reads."""
    return "b" if pointer is not None and pointer.slot == "a" else "a"
