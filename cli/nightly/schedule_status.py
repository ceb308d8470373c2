"""What `potluck status` says of the schedule."""

from datetime import datetime
from pathlib import Path
from typing import Any

from cli.nightly.cron import Cron
from cli.nightly.due_runs import ScheduleRecord, read_record
from potluck.contract.errors import Locked
from potluck.contract.lock import exclusive
from potluck.contract.settings import Settings


def schedule_status(settings: Settings, now: datetime) -> dict[str, Any]:
    """The cron expression in use, or the setting where no schedule runs; the last run; the next."""
    running = running_cron(settings)
    record = read_record(record_file(settings)) or ScheduleRecord(since=now)
    return {
        "scheduled": running is not None,
        "cron": running or settings.nightly_cron or "off",
        "last_due": record.tried,
        "last_exit_code": record.exit_code,
        "last_ended_at": record.ended_at,
        "next_due": next_due(running, now) if running else None,
    }


def next_due(expression: str, now: datetime) -> datetime | None:
    """The next due time; None in the serving image.

    The image has no APScheduler, but may share the home with a schedule.
    """
    try:
        return Cron(expression).next(now)
    except ModuleNotFoundError:
        return None


def schedule_text(status: dict[str, Any]) -> str:
    """The same for people."""
    ran = "no run yet"
    if status["last_due"]:
        ended = f"ended at {status['last_ended_at']:%F %T} with {status['last_exit_code']}"
        ran = f"run of {status['last_due']} {ended}"
    if not status["scheduled"]:
        cron = status["cron"]
        return f"not scheduled now, `potluck up` and `potluck schedule` have it at {cron}; {ran}"
    following = f", next at {status['next_due']}" if status["next_due"] else ""
    return f"{status['cron']} (UTC){following}; {ran}"


def running_cron(settings: Settings) -> str | None:
    """The expression of the schedule that runs for a home, if one does."""
    path = lock_file(settings)
    if not path.exists():
        return None
    # Whoever runs the schedule holds the lock, and has written the expression into its file.
    try:
        with exclusive(path, "scheduled"):
            return None
    except Locked:
        return path.read_text() or None


def lock_file(settings: Settings) -> Path:
    return settings.home / "schedule.lock"


def record_file(settings: Settings) -> Path:
    return settings.home / "schedule.json"
