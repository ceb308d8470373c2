"""Due times of a cron expression."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from cli.nightly.cron import Cron
from potluck.contract.errors import UsageError

NIGHT = datetime(2026, 3, 5, 2, tzinfo=UTC)


def test_the_next_due_time_is_later_than_the_moment() -> None:
    nightly = Cron("0 2 * * *")
    assert nightly.next(NIGHT - timedelta(seconds=1)) == NIGHT
    assert nightly.next(NIGHT) == NIGHT + timedelta(days=1)


@pytest.mark.parametrize(
    ("until", "latest"),
    [
        (NIGHT - timedelta(seconds=1), NIGHT - timedelta(days=1)),
        (NIGHT, NIGHT),
        (NIGHT + timedelta(hours=23), NIGHT),
        (NIGHT + timedelta(days=3, minutes=1), NIGHT + timedelta(days=3)),
    ],
)
def test_the_latest_due_time_includes_the_moment_itself(until: datetime, latest: datetime) -> None:
    assert Cron("0 2 * * *").latest(NIGHT - timedelta(days=9), until) == latest


def test_nothing_is_due_between_two_due_times_nor_where_the_clock_went_back() -> None:
    nightly = Cron("0 2 * * *")
    assert nightly.latest(NIGHT, NIGHT + timedelta(hours=23, minutes=59)) is None
    assert nightly.latest(NIGHT, NIGHT - timedelta(days=5)) is None


@pytest.mark.parametrize(
    "expression", ["* * * * *", "*/7 1-5 * * mon-fri", "30 1 1 1 *", "0 0 29 2 *"]
)
def test_years_of_absence_are_looked_through_at_once(expression: str) -> None:
    cron, since = Cron(expression), NIGHT - timedelta(days=9 * 366)
    started = time.perf_counter()
    latest = cron.latest(since, NIGHT)
    assert time.perf_counter() - started < 1
    assert latest is not None
    assert latest <= NIGHT < cron.next(latest)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("tonight", "got 1, expected 5"),
        ("0 2 * *", "got 4, expected 5"),
        ("@daily", "minute, hour, day"),
        ("60 2 * * *", "higher than the maximum"),
        ("0 2 * * 1", "name the weekdays"),
        ("0 2 * * */2", "name the weekdays"),
        ("0 2 31 2 *", "never comes"),
    ],
)
def test_what_is_no_schedule_is_a_usage_error_that_says_what_was_expected(
    expression: str, said: str
) -> None:
    with pytest.raises(UsageError, match="POTLUCK_NIGHTLY_CRON") as caught:
        Cron(expression)
    assert said in str(caught.value)
    assert repr(expression) in str(caught.value)
