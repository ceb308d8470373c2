"""The schedule's process: what it starts, what it remembers, how it ends.

Hours pass on a clock of our own.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import cli.nightly.schedule
from batch.summary import RunSummary
from cli.nightly.cron import Cron
from cli.nightly.due_runs import DueRuns, ScheduleRecord, read_record, write_record
from cli.nightly.nightly import run_line
from cli.nightly.schedule import NightlyProcess, Schedule
from cli.nightly.schedule_status import schedule_status, schedule_text
from potluck.contract.lock import exclusive
from potluck.contract.settings import Settings

NIGHT = datetime(2026, 3, 5, 2, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
PATIENCE_SECONDS = 90
ROOT = Path(__file__).resolve().parent.parent.parent
YEARLY = "0 0 1 1 *"
"""Was due this year, and isn't while a test runs."""


class Runs:
    """Stands in for the child process: takes its time, and ends with the given codes."""

    def __init__(self, *exit_codes: int | None, takes: timedelta = MINUTE) -> None:
        self.now = NIGHT
        self.exit_codes = list(exit_codes)
        self.takes = takes
        self.started: list[datetime] = []

    def __call__(self, due: datetime) -> int | None:
        self.started.append(due)
        self.now += self.takes
        return self.exit_codes.pop(0)


def schedule_with(runs: Runs, path: Path) -> Schedule:
    due_runs = DueRuns(Cron("0 2 * * *"), ScheduleRecord(since=NIGHT - DAY))
    return Schedule(due_runs, path, runs, lambda: runs.now)


def test_a_due_run_is_started_once_and_taken_down(tmp_path: Path) -> None:
    runs = Runs(0)
    schedule = schedule_with(runs, tmp_path / "schedule.json")
    for _ in range(3):
        schedule.look()
    assert runs.started == [NIGHT]
    assert read_record(tmp_path / "schedule.json") == ScheduleRecord(
        NIGHT - DAY, NIGHT, NIGHT, 0, NIGHT + MINUTE
    )


def test_a_failed_run_is_taken_down_and_tried_again_at_a_later_look(tmp_path: Path) -> None:
    runs = Runs(1, 0)
    schedule = schedule_with(runs, tmp_path / "schedule.json")
    schedule.look()
    taken_down = read_record(tmp_path / "schedule.json")
    assert taken_down is not None
    assert (taken_down.done, taken_down.tried, taken_down.exit_code) == (None, NIGHT, 1)
    schedule.look()
    assert runs.started == [NIGHT]
    runs.now += timedelta(minutes=5)
    schedule.look()
    assert runs.started == [NIGHT, NIGHT]


def test_what_came_due_during_a_run_follows_it_at_once_and_never_beside_it(tmp_path: Path) -> None:
    runs = Runs(0, 0, takes=DAY + MINUTE)
    runs.exit_codes.append(None)
    schedule_with(runs, tmp_path / "schedule.json").look()
    assert runs.started == [NIGHT, NIGHT + DAY, NIGHT + 2 * DAY]


def test_a_run_that_was_stopped_with_the_schedule_is_still_owed(tmp_path: Path) -> None:
    runs = Runs(None)
    schedule = schedule_with(runs, tmp_path / "schedule.json")
    schedule.look()
    assert not (tmp_path / "schedule.json").exists()
    assert schedule.runs.due(runs.now) == NIGHT


def test_a_refusal_is_an_error_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    schedule_with(Runs(65), tmp_path / "schedule.json").look()
    (refused,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "REFUSED" in refused.message


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Children sleep instead of scoring; answers the commands that were asked for."""
    asked: list[list[str]] = []
    start = subprocess.Popen

    def popen(command: list[str]) -> "subprocess.Popen[bytes]":
        asked.append(command)
        return start(["sleep", "60"])

    monkeypatch.setattr(cli.nightly.schedule.subprocess, "Popen", popen)
    return asked


def wait_for(happened: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def test_stopping_ends_the_child_and_starts_no_other(sleeper: list[list[str]]) -> None:
    nightly, codes = NightlyProcess(), list[int | None]()
    thread = threading.Thread(target=lambda: codes.append(nightly.run(NIGHT)))
    thread.start()
    wait_for(lambda: nightly.child is not None)
    nightly.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert nightly.child is not None
    assert nightly.child.returncode == -signal.SIGTERM
    assert nightly.run(NIGHT + DAY) is None
    assert codes == [None]
    verb = [sys.executable, "-m", "cli.main", "nightly", "--log"]
    assert sleeper == [[*verb, "--as-of", "2026-03-05T02:00:00+00:00"]]


def test_a_good_night_is_followed_by_skew_and_gc_where_settings_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    start = subprocess.Popen

    def popen(command: list[str]) -> "subprocess.Popen[bytes]":
        asked.append(command[3])
        return start(["true" if command[3] == "nightly" else "false"])

    monkeypatch.setattr(cli.nightly.schedule.subprocess, "Popen", popen)
    assert NightlyProcess().run(NIGHT) == 0
    assert asked == ["nightly"]
    assert NightlyProcess(gc_after=True).run(NIGHT) == 0
    assert asked == ["nightly", "nightly", "gc"]
    asked.clear()
    assert NightlyProcess(gc_after=True, skew_after=True).run(NIGHT) == 0
    assert asked == ["nightly", "skew", "gc"]


def test_status_tells_a_home_without_a_schedule(tmp_path: Path) -> None:
    found = schedule_status(Settings(home=tmp_path), NIGHT)
    assert (found["scheduled"], found["cron"], found["next_due"], found["last_due"]) == (
        False,
        "0 2 * * *",
        None,
        None,
    )
    assert "not scheduled now" in schedule_text(found)


def test_status_tells_a_schedule_where_apscheduler_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apscheduler.triggers.cron", None)
    with exclusive(tmp_path / "schedule.lock", "held") as file:
        file.write(YEARLY)
        file.flush()
        found = schedule_status(Settings(home=tmp_path), NIGHT)
    assert (found["scheduled"], found["cron"], found["next_due"]) == (True, YEARLY, None)
    assert schedule_text(found) == f"{YEARLY} (UTC); no run yet"


@pytest.fixture
def process(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A schedule of a home without data, so that its nightly run, which it missed, fails."""
    home = tmp_path / "home"
    home.mkdir()
    write_record(home / "schedule.json", ScheduleRecord(since=datetime(2020, 1, 1, tzinfo=UTC)))
    nowhere = {"REDIS_URL": "redis://127.0.0.1:9", "POTLUCK_REPO": str(ROOT / "examples" / "iris")}
    environment = {**os.environ, **nowhere, "POTLUCK_HOME": str(home)}
    command = [sys.executable, "-m", "cli.main", "schedule", "--cron", YEARLY]
    started = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    yield started
    started.kill()
    started.communicate()


def test_a_failed_run_does_not_end_the_schedule_and_a_signal_does_at_once(
    process: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    home = tmp_path / "home"
    due = datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC)
    wait_for(lambda: (read_record(home / "schedule.json") or ScheduleRecord(NIGHT)).exit_code)
    assert process.poll() is None
    found = schedule_status(Settings(home=home), datetime.now(UTC))
    assert (found["scheduled"], found["cron"], found["last_due"]) == (True, YEARLY, due)
    assert found["last_exit_code"] == 1
    assert found["next_due"] == due.replace(year=due.year + 1)
    assert f"next at {found['next_due']}" in schedule_text(found)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=10)
    assert time.monotonic() - started < 5
    assert process.returncode == 0
    assert "trying again at" in said
    assert "Traceback" not in said


def test_schedule_and_night_log_json_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    write_record(home / "schedule.json", ScheduleRecord(since=datetime(2020, 1, 1, tzinfo=UTC)))
    monkeypatch.setenv("POTLUCK_LOG_FORMAT", "json")
    monkeypatch.setenv("POTLUCK_HOME", str(home))
    monkeypatch.setenv("POTLUCK_REPO", str(ROOT / "examples" / "iris"))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9")
    command = [sys.executable, "-m", "cli.main", "schedule", "--cron", YEARLY]
    with (tmp_path / "log").open("wb") as log:
        started = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(lambda: (read_record(home / "schedule.json") or ScheduleRecord(NIGHT)).exit_code)
        started.send_signal(signal.SIGTERM)
        assert started.wait(20) == 0
    told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    loggers = [line["logger"] for line in told]
    assert loggers == ["potluck.schedule", "potluck.schedule", "potluck", "potluck.schedule"]
    assert "run `potluck train`" in told[2]["message"]


def children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task").glob("*/children")  # of each thread
    return [int(child) for thread in listed for child in thread.read_text().split()]


def test_a_signal_ends_the_run_that_is_at_work_and_it_is_still_owed(
    process: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    wait_for(lambda: children(process.pid))
    (nightly,) = children(process.pid)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(nightly, 0)
    record = read_record(tmp_path / "home" / "schedule.json")
    assert record == ScheduleRecord(since=datetime(2020, 1, 1, tzinfo=UTC))


def test_a_home_is_scheduled_once(process: "subprocess.Popen[str]", tmp_path: Path) -> None:
    home = tmp_path / "home"
    wait_for(lambda: schedule_status(Settings(home=home), NIGHT)["scheduled"])
    command = [sys.executable, "-m", "cli.main", "schedule"]
    second = subprocess.run(
        command,
        env={**os.environ, "POTLUCK_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 75
    assert "scheduled already" in second.stderr


@pytest.mark.parametrize(
    "words", [["up", "--nightly", "0 2 * *"], ["schedule", "--cron", "soon"], ["schedule"]]
)
def test_a_schedule_that_is_none_ends_with_2_before_anything_starts(
    words: list[str], tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "POTLUCK_HOME": str(tmp_path / "home"),
        "POTLUCK_NIGHTLY_CRON": "off",
    }
    command = [sys.executable, "-m", "cli.main", *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "POTLUCK_NIGHTLY_CRON" in ended.stderr
    assert not (tmp_path / "home").exists()


def test_a_run_is_one_line_of_the_log() -> None:
    as_of = datetime(2026, 3, 5, tzinfo=UTC)
    notes = ["the memory of Redis is not known"]
    run = RunSummary("iris_batch", "published", "iris", "3", "r1", as_of, 10, pruned=2, notes=notes)
    assert run_line(run) == (
        "published: iris_batch, 10 predictions of iris version 3; "
        "run r1, as of 2026-03-05T00:00:00+00:00; predictions of 2 former entities deleted; "
        "note: the memory of Redis is not known"
    )
