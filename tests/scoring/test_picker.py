"""A picker gives the values at its places, in their order."""

import pytest

from potluck.scoring.picker import picker


@pytest.mark.parametrize("places", [[], [0], [2], [0, 1, 2], [1, 2], [2, 0], [3, 1, 1]])
def test_a_picker_takes_these_places_in_this_order(places: list[int]) -> None:
    assert list(picker(places)("abcd")) == ["abcd"[place] for place in places]
