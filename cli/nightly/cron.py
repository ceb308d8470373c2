"""When the nightly run is due: a cron expression, in UTC."""

from datetime import UTC, datetime, timedelta
from typing import Any

from potluck.contract.errors import UsageError

EXPECTED = (
    "POTLUCK_NIGHTLY_CRON (or --nightly, --cron): expected minute, hour, day, month and weekday "
    'in UTC, such as "0 2 * * *" or "30 1 * * mon-fri", or "off"'
)


class Cron:
    """Five fields. A day must fit both the day and the weekday field.

    Raises:
        UsageError: it is not a cron expression, or it names a date that never comes.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.trigger = parse_cron(expression)

    def next(self, after: datetime) -> datetime:
        """The first due time later than a moment."""
        found = self.trigger.get_next_fire_time(after, after)
        assert isinstance(found, datetime)
        return found.astimezone(UTC)

    def latest(self, since: datetime, until: datetime) -> datetime | None:
        """The last due time later than `since` and not later than `until`, if there is one."""
        # APScheduler looks forward only. So begin a minute back, and twice as far each time, until
        # a due time lies ahead; then go forward to the last one.
        back = timedelta(minutes=1)
        while (found := self.next(max(since, until - back))) > until:
            if until - back <= since:
                return None
            back *= 2
        while (later := self.next(found)) <= until:
            found = later
        return found


def parse_cron(expression: str) -> Any:
    """Make APScheduler's trigger of a cron expression.

    Raises:
        UsageError: it is not a cron expression, or it names a date that never comes.
    """
    from apscheduler.triggers.cron import CronTrigger

    # 0 is Sunday for cron and Monday for APScheduler.
    weekdays = "".join(expression.split()[4:])
    if any(map(str.isdigit, weekdays)):
        raise UsageError(
            f"{EXPECTED}; got {expression!r}: name the weekdays, as cron and APScheduler number "
            "them apart"
        )
    try:
        trigger = CronTrigger.from_crontab(expression, timezone=UTC)
    except ValueError as error:
        raise UsageError(f"{EXPECTED}; got {expression!r}: {error}") from None
    if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
        raise UsageError(f"{EXPECTED}; got {expression!r}, a date that never comes")
    return trigger
