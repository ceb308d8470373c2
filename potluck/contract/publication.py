"""How a nightly run becomes visible: two slots per precomputed view, and one pointer that says
which is read.

A run writes the slot that nobody reads, then moves the pointer. Every stored prediction carries its
run's id, so that a reader can tell a row of the published run from one that another run left
behind.
"""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from potluck.contract.fields import DType, Field
from potluck.contract.formats import NEWEST, Format
from potluck.contract.redis_format import Scalar, value_reader

Slot = Literal["a", "b"]
SLOTS: tuple[Slot, ...] = ("a", "b")

PREDICTION, PROBABILITIES = "prediction", "probabilities"
MODEL_VERSION, RUN_ID = "model_version", "run_id"
PUBLISHED_ALWAYS = (PREDICTION, RUN_ID, MODEL_VERSION)
"""What every view of predictions holds."""


def published_row(prediction: DType, *, with_probabilities: bool) -> dict[str, DType]:
    """Return the names and types of what is published for an entity, in the view's order.

    Args:
        prediction: float64 of a regression; otherwise the type of the classes' labels.
        with_probabilities: whether the classes' probabilities are kept too, as JSON text.
    """
    row: dict[str, DType] = {PREDICTION: prediction}
    if with_probabilities:
        row[PROBABILITIES] = "string"
    return {**row, MODEL_VERSION: "string", RUN_ID: "string"}


@dataclass(frozen=True)
class Publication:
    """A precomputed service that this model's nightly run fills."""

    service: str
    view: str
    key: Field
    features: tuple[Field, ...]
    field_ids: dict[str, tuple[str, ...]]
    """Slot name -> hex of each feature's hash field."""
    source: str
    """The offline source that keeps the history."""


@dataclass(frozen=True)
class Pointer:
    """The published run of one precomputed view."""

    slot: Slot
    run_id: str
    as_of: datetime
    model_version: str
    rows: int
    token: int = 0
    """Fencing token of the lease under which readers were switched to it."""
    previous: "Pointer | None" = None
    """The run before, as long as its slot holds it."""
    published_at: datetime | None = None
    """When readers were switched to it."""
    format: Format = NEWEST

    def to_json(self) -> bytes:
        return POINTER.dump_json(self)

    def age_seconds(self, now: datetime) -> float:
        """Seconds since the as-of date: how old the records behind the predictions may be."""
        return (now - self.as_of.astimezone(UTC)).total_seconds()

    def alone(self) -> "Pointer":
        """Without the run before."""
        return dataclasses.replace(self, previous=None)


POINTER = TypeAdapter(Pointer)


def read_pointer(stored: bytes | None) -> Pointer | None:
    """Decode what lies under `pointer_key`; None where nothing was published yet, or where it can't
    be read.

    A damaged pointer publishes nothing; the next nightly run puts a sound one in its place.

    Raises:
        NewerFormat: a newer version published it.
    """
    try:
        return None if stored is None else POINTER.validate_json(stored)
    except ValidationError:
        return None


def pointer_key(project: str, view: str) -> str:
    """Redis key of the pointer."""
    return publication_key(project, view, "published")


def first_pointer_key(project: str, view: str) -> str:
    """Redis key of the pointer of version 0.1.0, whose servers read it on while others are
    upgraded."""
    return f"potluck:{project}:{view}:published"


def publication_key(project: str, view: str, name: str) -> str:
    """Redis key of what belongs to a precomputed view; the braces keep all of them on one node of a
    cluster."""
    return f"potluck:{{{project}:{view}}}:{name}"


def slot_view(view: str, slot: Slot) -> str:
    """The view's name inside the entity's hash while it lies in a slot."""
    return f"{view}__{slot}"


def idle_slot(pointer: Pointer | None) -> Slot:
    """The slot that no reader reads."""
    return "b" if pointer is not None and pointer.slot == "a" else "a"


def slot_fields(publication: Publication, slot: Slot) -> list[bytes]:
    """Hash fields of the view's features while it lies in a slot."""
    return [bytes.fromhex(text) for text in publication.field_ids[slot]]


class StoredPredictions:
    """Reads what an entity's hash holds of a precomputed view: the server's reader, and the nightly
    run's own check."""

    def __init__(
        self,
        publication: Publication,
        decoders: Sequence[Callable[[bytes | None], Scalar]] | None = None,
    ) -> None:
        """
        Args:
            decoders: for each feature, in place of `value_reader`, one that remembers.
        """
        self.names = tuple(field.name for field in publication.features)
        self.decoders = decoders or [
            value_reader(field, answered=True) for field in publication.features
        ]
        self.fields = [field for slot in SLOTS for field in slot_fields(publication, slot)]
        """What to ask the hash for."""
        width = len(self.names)
        self.part_of = {
            slot: itemgetter(slice(place * width, (place + 1) * width))
            for place, slot in enumerate(SLOTS)
        }

    def row(self, reply: Sequence[Any], pointer: Pointer) -> dict[str, Scalar] | None:
        """The row in the pointer's slot; None where another run wrote it, or none did.

        Args:
            reply: the values of `fields`.

        Raises:
            DamagedValueError: the bytes are no value of Feast's.
        """
        stored = self.part_of[pointer.slot](reply)
        row = {
            name: read(value)
            for name, read, value in zip(self.names, self.decoders, stored, strict=True)
        }
        return row if row[RUN_ID] == pointer.run_id else None
