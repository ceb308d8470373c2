"""The verb that calls `potluck nightly` by the clock: alone, or as one of the processes of `potluck up`."""

import logging
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cli.nightly.cron import Cron
from cli.nightly.due_runs import Nights, read_record, record_or_new, write_record
from cli.output import common_options, settings_for
from potluck.contract import logs
from potluck.contract.errors import Locked, UsageError
from potluck.contract.lock import exclusive
from potluck.contract.settings import Settings

logger = logging.getLogger("potluck.schedule")

LOOK_SECONDS = 60
"""How punctual retries are; and how soon a due time that the machine slept through is noticed, as timers sleep too."""
CHILD_STOP_SECONDS = 15.0

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
    asked_to_stop = queue.SimpleQueue[int]()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: asked_to_stop.put(number))
    scheduled = Cron(settings.nightly_cron)
    with exclusive(
        lock_file(settings), "the nightly run of this home is scheduled already"
    ) as file:
        file.truncate(0)
        file.write(scheduled.expression)
        file.flush()
        run_schedule(settings, scheduled, asked_to_stop)


def run_schedule(settings: Settings, cron: Cron, asked_to_stop: "queue.SimpleQueue[int]") -> None:
    """Run nights until asked to stop; the run that is at work ends with it.

    Args:
        asked_to_stop: filled by a signal's handler: it takes that at any moment, and APScheduler would swallow an
            exception.
    """
    clock = utc_now
    nightly = NightlyProcess(tidies=settings.gc_after_night)
    record = record_or_new(record_file(settings), clock())
    write_record(record_file(settings), record)
    nights = Nights(cron, record)
    logger.info("nightly runs at %s (UTC); %s", cron.expression, nights.next_text(clock()))
    scheduler = scheduler_of(cron, Schedule(nights, record_file(settings), nightly.run, clock).look)
    scheduler.start()
    try:
        asked_to_stop.get()
    finally:
        nightly.stop()
        scheduler.shutdown()


def scheduler_of(cron: Cron, look: Callable[[], None]) -> Any:
    """Two jobs in one thread: at each due time, and at the start and every minute for what was missed or failed."""
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.interval import IntervalTrigger

    logging.getLogger("apscheduler").setLevel(
        logging.ERROR
    )  # a look during a run is skipped, as it should be
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(1)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    scheduler.add_job(look, cron.trigger)
    scheduler.add_job(
        look, IntervalTrigger(seconds=LOOK_SECONDS, timezone=UTC), next_run_time=utc_now()
    )
    return scheduler


class Schedule:
    """Runs what is due, and takes down what came of it.

    Args:
        run: runs the nightly of a due time and answers its exit code, or None if it was stopped from here.
    """

    def __init__(
        self, nights: Nights, path: Path, run: Callable[[datetime], int | None], clock: Clock
    ) -> None:
        self.nights, self.path, self.run, self.clock = nights, path, run, clock

    def look(self) -> None:
        """Run what is due, until nothing is."""
        while (due := self.nights.due(self.clock())) is not None:
            logger.info("nightly run of %s: started", due.isoformat())
            exit_code = self.run(due)
            if exit_code is None:
                return
            self.ended(due, exit_code)

    def ended(self, due: datetime, exit_code: int) -> None:
        now = self.clock()
        self.nights.ended(due, exit_code, now)
        harmless = exit_code in (0, Locked.exit_code)
        logger.log(logging.INFO if harmless else logging.ERROR, self.nights.told(now))
        write_record(self.path, self.nights.record)


class NightlyProcess:
    """`potluck nightly` in a process of its own: its memory goes with it, and a crash takes nobody along."""

    def __init__(self, *, tidies: bool = False) -> None:
        """
        Args:
            tidies: call `potluck gc` after a night that went well.
        """
        self.tidies = tidies
        self.child: subprocess.Popen[bytes] | None = None
        self.stopping = False
        self.lock = threading.Lock()

    def run(self, as_of: datetime) -> int | None:
        """The exit code; None if it was stopped."""
        exit_code = self.call("nightly", "--log", "--as-of", as_of.isoformat())
        if exit_code == 0 and self.tidies:
            self.call("gc", "--log")  # whatever comes of it, the night is done
        return exit_code

    def call(self, *verb: str) -> int | None:
        with self.lock:
            if self.stopping:
                return None
            self.child = subprocess.Popen([sys.executable, "-m", "cli.main", *verb])
        exit_code = self.child.wait()
        return None if self.stopping else exit_code

    def stop(self) -> None:
        """Ask the process to end, and insist after a while."""
        with self.lock:
            self.stopping = True
        if self.child is None or self.child.poll() is not None:
            return
        self.child.terminate()
        try:
            self.child.wait(CHILD_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()


def schedule_status(settings: Settings, now: datetime) -> dict[str, Any]:
    """The cron expression in use, or the setting where no schedule runs; the last run; the next."""
    running = running_cron(settings)
    record = read_record(record_file(settings))
    return {
        "scheduled": running is not None,
        "cron": running or settings.nightly_cron or "off",
        "last_due": record.tried if record else None,
        "last_exit_code": record.exit_code if record else None,
        "last_ended_at": record.ended_at if record else None,
        "next_due": next_due(running, now) if running else None,
    }


def next_due(expression: str, now: datetime) -> datetime | None:
    """None in the serving image, which has no APScheduler, but may share the home with a schedule."""
    try:
        return Cron(expression).next(now)
    except ModuleNotFoundError:
        return None


def schedule_text(status: dict[str, Any]) -> str:
    """The same for people."""
    ran = "no run yet"
    if status["last_due"]:
        ran = f"run of {status['last_due']} ended at {status['last_ended_at']:%F %T} with {status['last_exit_code']}"
    if not status["scheduled"]:
        return f"not scheduled now, `potluck up` and `potluck schedule` have it at {status['cron']}; {ran}"
    following = f", next at {status['next_due']}" if status["next_due"] else ""
    return f"{status['cron']} (UTC){following}; {ran}"


def running_cron(settings: Settings) -> str | None:
    """The expression of the schedule that runs for a home, if one does."""
    path = lock_file(settings)
    if not path.exists():
        return None
    try:
        with exclusive(path, "scheduled"):
            return None
    except Locked:
        return path.read_text() or None


def lock_file(settings: Settings) -> Path:
    return settings.home / "schedule.lock"


def record_file(settings: Settings) -> Path:
    return settings.home / "schedule.json"


def utc_now() -> datetime:
    return datetime.now(UTC)
