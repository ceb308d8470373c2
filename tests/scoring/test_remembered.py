"""What is remembered is worked out once, and takes no more memory than it should."""

import pytest

from potluck.scoring.remembered import Remembered


def test_the_work_is_done_once_for_each_key() -> None:
    seen: list[int] = []
    remembered = Remembered(lambda key: seen.append(key) or key * 2)
    assert [remembered[key] for key in (1, 2, 1, 2)] == [2, 4, 2, 4]
    assert seen == [1, 2]


@pytest.mark.parametrize("unit", ["x", b"x"])
def test_a_long_value_is_made_each_time_and_not_kept(unit: str | bytes) -> None:
    remembered = Remembered(len)
    assert (remembered[unit * 129], remembered[unit * 128]) == (129, 128)
    assert [*remembered] == [unit * 128]
