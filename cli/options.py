"""Options that several verbs take."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click

from potluck.contract.errors import Refused, UsageError
from potluck.contract.moments import EARLIEST, LATEST

Callback = Callable[..., Any]
AHEAD = timedelta(days=1)
"""How far ahead an as-of date may lie: clocks differ, and so do days."""


class Moment(click.ParamType[datetime]):
    """A date (midnight UTC) or a date with a time (UTC unless it says otherwise)."""

    name = "date"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            expected = "a date such as 2010-07-31 or 2010-07-31T18:00:00+00:00"
            self.fail(f"expected {expected}, got {value!r}", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        try:
            in_utc = moment.astimezone(UTC)
        except OverflowError:  # a zone takes it beyond the years 1 to 9999
            self.fail_out_of_range(value, param, ctx)
        if not EARLIEST <= in_utc < LATEST:
            self.fail_out_of_range(value, param, ctx)
        return in_utc

    def fail_out_of_range(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> NoReturn:
        self.fail(
            f"expected a date from {EARLIEST:%F} to before {LATEST:%F}, got {value!r}", param, ctx
        )


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Answer with one JSON document on standard output."
)


def common_options(callback: Callback) -> Callback:
    """Add `--repo` and `--json`, which every verb takes."""
    repo_option = click.option(
        "--repo",
        type=click.Path(path_type=Path),
        help="Feast feature repo  [default: feature_repo]",
    )
    return repo_option(json_option(callback))


as_of_option = click.option(
    "--as-of",
    type=Moment(),
    default=None,
    help="Only records dated up to then are visible.  [default: now]",
)


def now_or(as_of: datetime | None) -> datetime:
    """The given as-of date, or this second."""
    return as_of or datetime.now(UTC).replace(microsecond=0)


def check_as_of(as_of: datetime | None, force: str | None) -> None:
    """See that an as-of date is not a mistyped one, before anything is done with it.

    Args:
        force: the reason for a date in the future, if one is given.

    Raises:
        UsageError: the reason is empty.
        Refused: the date lies more than a day ahead, and there is no reason.
    """
    if force is not None and not force.strip():
        raise UsageError("expected a reason behind --force, which goes into the record; got none")
    if as_of is not None and as_of > datetime.now(UTC) + AHEAD and force is None:
        raise Refused(
            f"nothing was done: the as-of date {as_of.isoformat()} lies in the future; expected "
            "one up to now. Correct it, or say with --force REASON that it is meant"
        )
