"""The range of dates is that of 64-bit nanoseconds, cut to whole years."""

from datetime import UTC, datetime, timedelta

from potluck.contract.moments import EARLIEST, LATEST

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HELD = timedelta(microseconds=2**63 // 1000)


def test_every_date_of_the_range_is_held_by_nanoseconds() -> None:
    assert EPOCH - HELD <= EARLIEST
    assert LATEST - timedelta(microseconds=1) <= EPOCH + HELD


def test_no_whole_year_that_is_held_is_left_out() -> None:
    assert (EARLIEST.month, EARLIEST.day, LATEST.month, LATEST.day) == (1, 1, 1, 1)
    assert EARLIEST.replace(year=EARLIEST.year - 1) < EPOCH - HELD
    assert LATEST.replace(year=LATEST.year + 1) > EPOCH + HELD
