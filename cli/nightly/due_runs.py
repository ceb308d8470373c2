"""Which nightly run is due, and what the schedule remembers: no clock, no process, no scheduler."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cli.nightly.cron import Cron
from potluck.contract.errors import Locked, Refused
from potluck.contract.files import write_whole
from potluck.contract.formats import NEWEST, Format

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 45))
"""After the first failure, the second, the third; then the run waits for its next due time."""
LOCKED_PAUSE = timedelta(minutes=5)


@dataclass(frozen=True)
class ScheduleRecord:
    """How far the schedule of a home came; `schedule.json`."""

    since: AwareDatetime
    """Its first start: what was due before it was never missed."""
    done: AwareDatetime | None = None
    """Last due time that was run to its end."""
    tried: AwareDatetime | None = None
    """Last due time that was run, whatever came of it."""
    exit_code: int | None = None
    """What came of it."""
    ended_at: AwareDatetime | None = None
    format: Format = NEWEST


RECORD = TypeAdapter(ScheduleRecord)


class DueRuns:
    """Says which run is due, from what came of the earlier ones.

    Of several missed due times only the last is run. A failed run is tried again after a pause, a
    refused one never, and either gives way to the next due time.
    """

    def __init__(self, cron: Cron, record: ScheduleRecord) -> None:
        self.cron = cron
        self.record = record
        self.failures = 0
        self.again_at: datetime | None = None
        # A refused run stays refused in the next process; a failed one is tried again at once.
        self.settled = record.tried if record.exit_code == Refused.exit_code else None

    def due(self, now: datetime) -> datetime | None:
        """The due time to run now, if there is one."""
        due = self.cron.latest(self.record.done or self.record.since, now)
        if due is None or due == self.settled:
            return None
        is_pausing = self.again_at is not None and now < self.again_at
        if is_pausing and due == self.record.tried:
            return None
        return due

    def record_end(self, due: datetime, exit_code: int, now: datetime) -> None:
        """Take note of a run's end."""
        if due != self.record.tried:
            self.failures = 0
        done = due if exit_code == 0 else self.record.done
        self.record = replace(self.record, done=done, tried=due, exit_code=exit_code, ended_at=now)
        pause = self.pause_after(exit_code)
        self.again_at = None if pause is None else now + pause
        self.settled = due if pause is None else None

    def pause_after(self, exit_code: int) -> timedelta | None:
        """How long to wait with the next attempt; None if there is to be none."""
        if exit_code in (0, Refused.exit_code):
            return None
        if exit_code == Locked.exit_code:
            return LOCKED_PAUSE
        self.failures += 1
        return PAUSES[self.failures - 1] if self.failures <= len(PAUSES) else None

    def end_text(self, now: datetime) -> str:
        """What came of the last run and what follows, for people."""
        record = self.record
        assert record.tried is not None
        run = f"nightly run of {record.tried.isoformat()}"
        following = self.next_text(now)
        if self.again_at:
            following = f"trying again at {self.again_at:%H:%M:%S} UTC"
        if record.exit_code == 0:
            return f"{run}: done; {following}"
        if record.exit_code == Locked.exit_code:
            return f"{run}: another run of this home is at work; {following}"
        if record.exit_code == Refused.exit_code:
            by_hand = f"`potluck nightly --as-of {record.tried.isoformat()}`"
            return (
                f"{run}: REFUSED by verification, so the last published run stays; it is not tried "
                f"again: see above what was wrong, put it right and call {by_hand}; {following}"
            )
        return f"{run}: FAILED with exit code {record.exit_code}; {following}"

    def next_text(self, now: datetime) -> str:
        return f"the next is due at {self.cron.next(now).isoformat()}"


def read_record(path: Path) -> ScheduleRecord | None:
    """What was written; None where nothing was, or where it can't be read."""
    try:
        return RECORD.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def record_or_new(path: Path, now: datetime) -> ScheduleRecord:
    """The record to go on from."""
    record = read_record(path)
    # A record from a clock ahead of ours would hold back every run until then.
    if record is None or max(filter(None, (record.since, record.done))) > now:
        return ScheduleRecord(since=now)
    return record


def write_record(path: Path, record: ScheduleRecord) -> None:
    """Replace the file whole."""
    write_whole(path, RECORD.dump_json(record, indent=1) + b"\n")
