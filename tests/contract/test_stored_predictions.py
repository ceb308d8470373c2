"""The reader of stored predictions reads one slot, and only rows of the run that the pointer
names."""

from datetime import UTC, datetime

import pytest

from potluck.contract.fields import Field
from potluck.contract.publication import SLOTS, Pointer, Publication, Slot, StoredPredictions
from potluck.contract.redis_format import DamagedValueError, encode_value

PUBLICATION = Publication(
    service="price_batch",
    view="prices",
    key=Field("shop_id", "string", "key", required=True),
    features=(Field("prediction", "float64", "online"), Field("run_id", "string", "online")),
    field_ids={"a": ("0a000000", "0b000000"), "b": ("0c000000", "0d000000")},
    source="history",
)
READER = StoredPredictions(PUBLICATION)
REPLY = [
    encode_value(1.5, "float64"),
    encode_value("run of a", "string"),
    encode_value(2.5, "float64"),
    encode_value("run of b", "string"),
]


def pointer(slot: Slot, run_id: str) -> Pointer:
    return Pointer(
        slot=slot, run_id=run_id, as_of=datetime(2026, 6, 1, tzinfo=UTC), model_version="1", rows=1
    )


def test_both_slots_are_asked_for() -> None:
    asked = [field for slot in SLOTS for field in map(bytes.fromhex, PUBLICATION.field_ids[slot])]
    assert READER.fields == asked


@pytest.mark.parametrize(("slot", "prediction"), [("a", 1.5), ("b", 2.5)])
def test_the_row_comes_from_the_pointers_slot(slot: Slot, prediction: float) -> None:
    run = f"run of {slot}"
    assert READER.row(REPLY, pointer(slot, run)) == {"prediction": prediction, "run_id": run}


@pytest.mark.parametrize("reply", [REPLY, [None] * 4])
def test_a_row_of_another_run_is_none(reply: list[bytes | None]) -> None:
    assert READER.row(reply, pointer("a", "run of b")) is None


def test_bytes_that_are_no_value_are_named_as_damaged() -> None:
    with pytest.raises(DamagedValueError):
        READER.row([b"\x29\x00", *REPLY[1:]], pointer("a", "run of a"))
