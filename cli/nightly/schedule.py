"""The verb schedule: `potluck nightly` by the clock, alone or as a process of `potluck up`."""

import logging
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from cli.nightly.cron import Cron
from cli.nightly.due_runs import DueRuns, record_or_new, write_record
from cli.nightly.schedule_status import lock_file, record_file
from cli.options import common_options
from cli.startup import settings_for
from potluck.contract import logs
from potluck.contract.errors import Locked, UsageError
from potluck.contract.lock import exclusive
from potluck.contract.settings import Settings

logger = logging.getLogger("potluck.schedule")

LOOK_SECONDS = 60
"""How punctual retries are; and how soon a due time that the machine slept through is noticed: a
timer sleeps as the machine does."""
CHILD_STOP_SECONDS = 15.0
SKEW_WINDOW = timedelta(days=1)
"""Requests that `potluck skew` compares after a night: from so long before its due time on."""

Clock = Callable[[], datetime]


@click.command("schedule")
@click.option(
    "--cron", help='When, in UTC: minute, hour, day, month, weekday.  [default: "0 2 * * *"]'
)
@common_options
def schedule_verb(cron: str | None, repo: Path | None, as_json: bool) -> None:
    """Call `potluck nightly` by the clock until interrupted; a missed run is caught up."""
    settings = settings_for(repo, nightly_cron=cron)
    if not settings.nightly_cron:
        raise UsageError(
            "expected a cron expression, but POTLUCK_NIGHTLY_CRON or --cron says off; give one"
        )
    logs.set_up(settings)
    # A queue, as a signal's handler may put into it at any moment, and as APScheduler would
    # swallow an exception that the handler raised.
    asked_to_stop = queue.SimpleQueue[int]()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked_to_stop.put(number))
    scheduled = Cron(settings.nightly_cron)
    with exclusive(
        lock_file(settings), "the nightly run of this home is scheduled already"
    ) as file:
        file.truncate(0)
        file.write(scheduled.expression)  # `potluck status` reads it there
        file.flush()
        run_schedule(settings, scheduled, asked_to_stop)


def run_schedule(settings: Settings, cron: Cron, asked_to_stop: "queue.SimpleQueue[int]") -> None:
    """Run what is due until asked to stop; the run that is at work ends with it."""
    clock = utc_now
    nightly = NightlyProcess(gc_after=settings.gc_after_night, skew_after=settings.skew_after_night)
    record = record_or_new(record_file(settings), clock())
    write_record(record_file(settings), record)
    runs = DueRuns(cron, record)
    logger.info("nightly runs at %s (UTC); %s", cron.expression, runs.next_text(clock()))
    schedule = Schedule(runs, record_file(settings), nightly.run, clock)
    scheduler = make_scheduler(cron, schedule.look)
    scheduler.start()
    try:
        asked_to_stop.get()
    finally:
        # The child first: `shutdown` waits for the job that waits for it.
        nightly.stop()
        scheduler.shutdown()


def make_scheduler(cron: Cron, look: Callable[[], None]) -> Any:
    """Make a scheduler of two jobs in one thread.

    One looks at each due time. The other looks at the start and every minute for what was missed
    or failed.
    """
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.interval import IntervalTrigger

    # A look that comes due during a run is skipped, as it should be; APScheduler would warn of it.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(1)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    every_minute = IntervalTrigger(seconds=LOOK_SECONDS, timezone=UTC)
    scheduler.add_job(look, cron.trigger)
    scheduler.add_job(look, every_minute, next_run_time=utc_now())
    return scheduler


class Schedule:
    """Runs what is due, and records what came of it.

    Args:
        path: file of the record.
        run: runs the nightly of a due time and returns its exit code, or None if it was stopped
            from here.
    """

    def __init__(
        self, runs: DueRuns, path: Path, run: Callable[[datetime], int | None], clock: Clock
    ) -> None:
        self.runs, self.path, self.run, self.clock = runs, path, run, clock

    def look(self) -> None:
        """Run what is due, until nothing is."""
        while (due := self.runs.due(self.clock())) is not None:
            logger.info("nightly run of %s: started", due.isoformat())
            exit_code = self.run(due)
            if exit_code is None:
                return
            self.record_end(due, exit_code)

    def record_end(self, due: datetime, exit_code: int) -> None:
        now = self.clock()
        self.runs.record_end(due, exit_code, now)
        harmless = exit_code in (0, Locked.exit_code)
        logger.log(logging.INFO if harmless else logging.ERROR, self.runs.end_text(now))
        write_record(self.path, self.runs.record)


class NightlyProcess:
    """`potluck nightly` in a process of its own.

    Its memory goes with it, and its crash does not end the schedule.
    """

    def __init__(self, *, gc_after: bool = False, skew_after: bool = False) -> None:
        """
        Args:
            gc_after: call `potluck gc` after a run that went well.
            skew_after: call `potluck skew` after a run that went well, before `gc`.
        """
        self.gc_after, self.skew_after = gc_after, skew_after
        self.child: subprocess.Popen[bytes] | None = None
        self.stopping = False
        self.lock = threading.Lock()

    def run(self, as_of: datetime) -> int | None:
        """The exit code; None if it was stopped."""
        exit_code = self.run_verb("nightly", "--log", "--as-of", as_of.isoformat())
        # Whatever comes of the other verbs, the run is done.
        if exit_code == 0 and self.skew_after:
            since = as_of - SKEW_WINDOW
            self.run_verb("skew", "--log", "--since", since.isoformat())
        if exit_code == 0 and self.gc_after:
            self.run_verb("gc", "--log")
        return exit_code

    def run_verb(self, *words: str) -> int | None:
        # The lock keeps `stop` from running between the look at `stopping` and the child's start.
        with self.lock:
            if self.stopping:
                return None
            self.child = subprocess.Popen([sys.executable, "-m", "cli.main", *words])
        exit_code = self.child.wait()
        return None if self.stopping else exit_code

    def stop(self) -> None:
        """Ask the process to end, and kill it after a while."""
        with self.lock:
            self.stopping = True
        if self.child is None or self.child.poll() is not None:
            return
        self.child.terminate()
        try:
            self.child.wait(CHILD_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()


def utc_now() -> datetime:
    return datetime.now(UTC)
