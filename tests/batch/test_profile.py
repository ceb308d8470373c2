"""The shape of a run's predictions, and how far another run is from it."""

import numpy as np
import pytest

from batch.profile import PROFILE, profile_of, share_outside, stability_index

RANDOM = np.random.default_rng(5)
LAST = RANDOM.lognormal(12, 0.3, 5_000)


def test_the_same_predictions_are_stable_and_in_range() -> None:
    last = profile_of("run", LAST)
    assert stability_index(last, LAST) == pytest.approx(0)
    assert share_outside(last, LAST) == 0


@pytest.mark.parametrize(("factor", "index_is"), [(1.02, "minor"), (1.5, "major"), (0.5, "major")])
def test_the_index_tells_a_small_move_from_a_large_one(factor: float, index_is: str) -> None:
    index = stability_index(profile_of("run", LAST), LAST * factor)
    assert index is not None
    assert (index > 0.25) == (index_is == "major")


def test_the_share_beyond_last_times_range_is_counted() -> None:
    values = np.array([LAST.min(), LAST.max(), LAST.max() * 2, LAST.min() / 2])
    assert share_outside(profile_of("run", LAST), values) == 0.5


def test_the_index_is_that_of_the_definition() -> None:
    """Shares 0.8 and 0.2 after 0.5 and 0.5: (0.3) ln(1.6) + (-0.3) ln(0.4)."""
    last = profile_of("run", {"low": 500, "high": 500})
    index = stability_index(last, {"low": 800, "high": 200})
    assert index == pytest.approx(0.3 * np.log(1.6) - 0.3 * np.log(0.4))
    assert share_outside(last, {"low": 800, "high": 200}) is None


def test_a_label_that_is_new_or_gone_counts() -> None:
    index = stability_index(
        profile_of("run", {"low": 500, "high": 500}), {"low": 500, "other": 500}
    )
    assert index is not None
    assert index > 1


def test_equal_predictions_have_a_profile() -> None:
    last = profile_of("run", np.full(300, 7.0))
    assert stability_index(last, np.full(400, 7.0)) == pytest.approx(0)
    assert share_outside(last, np.array([7.0, 8.0])) == 0.5


def test_a_few_rows_say_nothing() -> None:
    assert stability_index(profile_of("run", LAST[:199]), LAST) is None
    assert stability_index(profile_of("run", LAST), LAST[:199]) is None
    assert profile_of("run", LAST[:0]).rows == 0


def test_a_profile_comes_back_as_it_was_written() -> None:
    for profile in (profile_of("run", LAST), profile_of("run", {"low": 3})):
        assert PROFILE.validate_json(PROFILE.dump_json(profile)) == profile
