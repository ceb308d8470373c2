"""What the online store was fed, and what a model misses in it."""

from datetime import UTC, datetime

import pytest

from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.feed import Feed, feed_key, read_feed

FEED = Feed(datetime(2026, 6, 1, tzinfo=UTC), {"lots": ("area", "slope")})


def test_a_feed_comes_back_as_it_was_written() -> None:
    assert read_feed(FEED.to_json()) == FEED


@pytest.mark.parametrize("stored", [None, b"", b"null", b"{}", b"\xff"])
def test_what_is_no_feed_says_nothing(stored: bytes | None) -> None:
    assert read_feed(stored) is None


def test_projects_have_feeds_of_their_own() -> None:
    keys = [feed_key("house"), feed_key("warehouse")]
    assert len(set(keys)) == 2
    assert all(key.startswith("potluck:") for key in keys)


def test_a_model_lacks_what_was_not_written() -> None:
    views = (view("lots", "area", "age"), view("streets", "noise"))
    contract = FeatureContract.__new__(FeatureContract)
    object.__setattr__(contract, "views", views)
    assert FEED.lacks(contract) == ["lots:age", "streets:noise"]


def view(name: str, *features: str) -> LookupView:
    ids = tuple("00000000" for _ in features)
    return LookupView(
        name=name,
        join_keys=("id",),
        features=features,
        field_ids=ids,
        ttl_seconds=0,
        unknown="refuse",
    )
