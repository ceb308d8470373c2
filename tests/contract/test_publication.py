"""Two slots and a pointer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from potluck.contract.publication import (
    SLOTS,
    Pointer,
    Slot,
    idle_slot,
    pointer_key,
    read_pointer,
    slot_view,
)

AS_OF = datetime(2010, 7, 31, 12, 30, 15, 250000, tzinfo=UTC)


def pointer(slot: Slot = "a", as_of: datetime = AS_OF) -> Pointer:
    return Pointer(
        slot=slot, run_id="20100731T123015Z-v1-0123", as_of=as_of, model_version="3", rows=1460
    )


def test_a_pointer_comes_back_as_it_was_written() -> None:
    assert read_pointer(pointer().to_json()) == pointer()


def test_a_pointer_tells_when_it_was_published_and_reads_one_that_does_not() -> None:
    published = replace(pointer(), published_at=AS_OF + timedelta(hours=3))
    assert read_pointer(published.to_json()) == published
    earlier = (
        b'{"slot":"a","run_id":"r","as_of":"2010-07-31T12:30:15Z","model_version":"3","rows":1}'
    )
    found = read_pointer(earlier)
    assert found is not None
    assert found.published_at is None


def test_nothing_published_is_no_pointer() -> None:
    assert read_pointer(None) is None


@pytest.mark.parametrize("stored", [b"", b"{}", b"null", b'{"slot": "c"}', b"\xff"])
def test_what_is_no_pointer_publishes_nothing(stored: bytes) -> None:
    assert read_pointer(stored) is None


def test_the_first_run_writes_a_slot() -> None:
    assert idle_slot(None) in SLOTS


@pytest.mark.parametrize("slot", SLOTS)
def test_a_run_never_writes_the_slot_that_is_read(slot: Slot) -> None:
    assert idle_slot(pointer(slot)) in set(SLOTS) - {slot}


def test_slots_and_views_never_share_a_name() -> None:
    names = {slot_view(view, slot) for view in ("prices", "rents") for slot in SLOTS}
    assert len(names) == 4
    assert not names & {"prices", "rents"}


def test_projects_and_views_have_pointers_of_their_own() -> None:
    keys = {
        pointer_key(project, view)
        for project in ("house", "warehouse")
        for view in ("prices", "rents")
    }
    assert len(keys) == 4


def test_age_counts_from_the_as_of_date_in_any_zone() -> None:
    zone = timezone(timedelta(hours=-7))
    there = pointer(as_of=AS_OF.astimezone(zone))
    assert there.age_seconds(AS_OF + timedelta(hours=6)) == 6 * 3600
    assert pointer().age_seconds((AS_OF + timedelta(hours=6)).astimezone(zone)) == 6 * 3600
