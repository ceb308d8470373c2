"""Which run the schedule owes: a clock of our own, and exit codes to order."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.nightly.cron import Cron
from cli.nightly.due_runs import (
    LOCKED_PAUSE,
    PAUSES,
    DueRuns,
    ScheduleRecord,
    read_record,
    record_or_new,
    write_record,
)

CRON = Cron("0 2 * * *")
NIGHT = datetime(2026, 3, 5, 2, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture
def runs() -> DueRuns:
    """Up to date: yesterday's run is done."""
    return DueRuns(
        CRON,
        ScheduleRecord(since=NIGHT - 30 * DAY, done=NIGHT - DAY, tried=NIGHT - DAY, exit_code=0),
    )


def test_a_run_is_due_from_its_time_on_until_it_is_done(runs: DueRuns) -> None:
    assert runs.due(NIGHT - MINUTE) is None
    assert runs.due(NIGHT) == NIGHT
    runs.record_end(NIGHT, 0, NIGHT + 3 * MINUTE)
    assert runs.due(NIGHT + 3 * MINUTE) is None
    assert runs.due(NIGHT + DAY) == NIGHT + DAY


def test_of_several_missed_nights_the_last_is_caught_up(runs: DueRuns) -> None:
    assert runs.due(NIGHT + 4 * DAY + 5 * MINUTE) == NIGHT + 4 * DAY


def test_a_new_schedule_owes_nothing_of_the_time_before_it() -> None:
    runs = DueRuns(CRON, ScheduleRecord(since=NIGHT + 8 * MINUTE))
    assert runs.due(NIGHT + 9 * MINUTE) is None
    assert runs.due(NIGHT + DAY) == NIGHT + DAY


@pytest.mark.parametrize("exit_code", [1, 2, 130, -9])
def test_a_failed_run_is_tried_again_after_longer_and_longer_pauses_then_given_up(
    runs: DueRuns, exit_code: int
) -> None:
    now = NIGHT
    for pause in PAUSES:
        assert runs.due(now) == NIGHT
        runs.record_end(NIGHT, exit_code, now)
        assert runs.due(now + pause - MINUTE) is None
        now += pause
    assert runs.due(now) == NIGHT
    runs.record_end(NIGHT, exit_code, now)
    assert runs.due(NIGHT + DAY - MINUTE) is None
    assert runs.due(NIGHT + DAY) == NIGHT + DAY


def test_the_next_night_begins_with_as_many_attempts(runs: DueRuns) -> None:
    for night in (NIGHT, NIGHT + DAY):
        now = night
        for pause in PAUSES:
            runs.record_end(night, 1, now)
            now += pause
            assert runs.due(now) == night


def test_a_locked_home_is_asked_again_until_the_next_due_time(runs: DueRuns) -> None:
    now = NIGHT
    while now < NIGHT + DAY:
        assert runs.due(now) == NIGHT
        runs.record_end(NIGHT, 75, now)
        assert runs.due(now + LOCKED_PAUSE - MINUTE) in (None, NIGHT + DAY)
        now += LOCKED_PAUSE
    assert runs.due(now) == NIGHT + DAY


def test_waiting_for_the_lock_uses_up_no_attempt(runs: DueRuns) -> None:
    for _ in range(10):
        runs.record_end(NIGHT, 75, NIGHT)
    runs.record_end(NIGHT, 1, NIGHT)
    assert runs.due(NIGHT + PAUSES[0]) == NIGHT


def test_a_refused_run_is_not_tried_again_not_even_by_the_next_process(runs: DueRuns) -> None:
    runs.record_end(NIGHT, 65, NIGHT + MINUTE)
    assert runs.due(NIGHT + DAY - MINUTE) is None
    after_restart = DueRuns(CRON, runs.record)
    assert after_restart.due(NIGHT + DAY - MINUTE) is None
    assert after_restart.due(NIGHT + DAY) == NIGHT + DAY


def test_a_run_that_failed_or_was_killed_is_taken_up_by_the_next_process(runs: DueRuns) -> None:
    assert DueRuns(CRON, runs.record).due(NIGHT + MINUTE) == NIGHT
    runs.record_end(NIGHT, 1, NIGHT + MINUTE)
    assert DueRuns(CRON, runs.record).due(NIGHT + 2 * MINUTE) == NIGHT


def test_a_run_that_outlasts_the_next_due_time_is_followed_by_that_one(runs: DueRuns) -> None:
    runs.record_end(NIGHT, 0, NIGHT + DAY + MINUTE)
    assert runs.due(NIGHT + DAY + MINUTE) == NIGHT + DAY


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        (0, "done; the next is due at 2026-03-06T02:00:00+00:00"),
        (1, "FAILED with exit code 1; trying again at 02:05:00 UTC"),
        (65, "REFUSED by verification, so the last published run stays"),
        (75, "another run of this home is at work; trying again at 02:05:00 UTC"),
    ],
)
def test_the_log_says_what_came_of_it_and_what_follows(
    runs: DueRuns, exit_code: int, said: str
) -> None:
    runs.record_end(NIGHT, exit_code, NIGHT)
    assert said in runs.end_text(NIGHT)


def test_a_record_comes_back_as_it_was_written_and_leaves_nothing_beside_it(
    tmp_path: Path, runs: DueRuns
) -> None:
    path = tmp_path / "schedule.json"
    for exit_code in (1, 0):
        runs.record_end(NIGHT, exit_code, NIGHT + MINUTE)
        write_record(path, runs.record)
        assert read_record(path) == runs.record
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "{}",
        '{"since": "2026-03-05T02:00:00"}',
        '{"since": "2026-03-01T02:00:00Z", "done": "2099-01-01T02:00Z"}',
    ],
    ids=["none", "empty", "no fields", "no zone", "from the future"],
)
def test_what_is_no_usable_record_begins_anew(tmp_path: Path, stored: str | None) -> None:
    path = tmp_path / "schedule.json"
    if stored is not None:
        path.write_text(stored)
    assert record_or_new(path, NIGHT) == ScheduleRecord(since=NIGHT)
