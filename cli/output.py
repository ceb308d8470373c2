"""What every verb shares: options, settings, answers for people or machines, progress, errors."""

import importlib.util
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click

from potluck.contract import logs
from potluck.contract.errors import PotluckError, Refused, UsageError
from potluck.contract.moments import EARLIEST, LATEST
from potluck.contract.secrets import masked
from potluck.contract.settings import Settings, load_settings

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
            self.fail(
                f"expected a date such as 2010-07-31 or 2010-07-31T18:00:00+00:00, got {value!r}",
                param,
                ctx,
            )
        try:
            in_utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except OverflowError:
            self.out_of_range(value, param, ctx)
        if not EARLIEST <= in_utc < LATEST:
            self.out_of_range(value, param, ctx)
        return in_utc

    def out_of_range(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> NoReturn:
        self.fail(
            f"expected a date from {EARLIEST:%F} to before {LATEST:%F}, got {value!r}", param, ctx
        )


def common_options(callback: Callback) -> Callback:
    """`--repo` and `--json`, which every verb takes."""
    repo = click.option(
        "--repo",
        type=click.Path(path_type=Path),
        help="Feast feature repo  [default: feature_repo]",
    )
    machine = click.option(
        "--json", "as_json", is_flag=True, help="Answer with one JSON document on standard output."
    )
    return repo(machine(callback))


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
    """See that an as-of date is no mistyped one, before anything is done with it.

    Args:
        force: why it is meant so, if somebody says.

    Raises:
        UsageError: the reason is empty.
        Refused: the date lies more than a day ahead, and there is no reason.
    """
    if force is not None and not force.strip():
        raise UsageError("expected a reason behind --force, which goes into the record; got none")
    if as_of is not None and as_of > datetime.now(UTC) + AHEAD and force is None:
        raise Refused(
            f"nothing was done: the as-of date {as_of.isoformat()} lies in the future; expected one up to now. "
            "Correct it, or say with --force REASON that it is meant"
        )


def settings_for(repo: Path | None, **flags: object) -> Settings:
    """Settings of this command, also put into the environment for what it starts and for Feast's own plug-ins."""
    settings = load_settings(repo=repo, **flags)
    check_home(settings.home)
    os.environ.update(settings.variables())
    return settings


def check_home(home: Path) -> None:
    """See that the home is a folder, or can become one.

    Raises:
        UsageError: a file is in its way.
    """
    there = next(path for path in (home, *home.parents) if path.exists())
    if not there.is_dir():
        raise UsageError(
            f"expected a folder for the home {home}, but {there} is a file; set POTLUCK_HOME to another"
        )


def prepare_libraries(settings: Settings) -> None:
    """Call before Feast or MLflow is imported: spares seconds, and keeps their chatter off the terminal.

    Feast has typeguard rewrite its classes while it is imported, which takes longer than the rest of a verb. With
    POTLUCK_LOG_LEVEL=DEBUG both stay as they are.
    """
    if settings.log_level == "DEBUG":
        return
    if importlib.util.find_spec("typeguard") is not None:
        import typeguard

        typeguard.typechecked = unchecked
    warnings.showwarning = lambda *_, **__: (
        None
    )  # Feast sets filters of its own when it is imported
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    logging.getLogger("feast").setLevel(logging.ERROR)


def unchecked(target: Any = None, **_: Any) -> Any:
    """Stands in for `typeguard.typechecked`, with and without options: leaves the code as it is."""
    return target if target is not None else unchecked


def answer(as_json: bool, result: Any, text: str) -> None:
    """Print a result for machines, or a text for people."""
    if as_json:
        click.echo(json.dumps(plain(result), default=str, indent=1))
    else:
        say(text)


def say(text: str, *, err: bool = False) -> None:
    """Print a text for people, in which names and cells of files may stand."""
    click.echo(printable(text), err=err)


def printable(text: str) -> str:
    """A text that a terminal shows and does not obey: escape codes are written out, as in `\\x1b`."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


def plain(result: Any) -> Any:
    if is_dataclass(result) and not isinstance(result, type):
        return asdict(result)
    if isinstance(result, list):
        return [plain(item) for item in result]
    if isinstance(result, dict):
        return {name: plain(item) for name, item in result.items()}
    return result


@contextmanager
def progress_bar(total: int | None, text: str) -> Iterator[Callable[[int], None]]:
    """A bar on standard error where that is a terminal."""
    if not sys.stderr.isatty():  # also where tqdm is not installed
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=text, leave=False, unit_scale=True) as bar:
        yield lambda done: bar.update(done) and None


@contextmanager
def steps_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each named step, with rows, rows a second and the time left."""
    from tqdm import tqdm

    bars: dict[str, tqdm[Any]] = {}

    def follow(step: str, done: int, total: int) -> None:
        if step not in bars:
            close_all()
            silent = not sys.stderr.isatty()
            bars[step] = tqdm(
                total=total, desc=step, disable=silent, leave=False, unit=" rows", unit_scale=True
            )
        bars[step].update(done - bars[step].n)

    def close_all() -> None:
        while bars:
            bars.popitem()[1].close()

    try:
        yield follow
    finally:
        close_all()


@contextmanager
def rows_progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar of rows and rows per second for one table after the other."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def follow(table: str, done: int, total: int | None) -> None:
        if table not in bars:
            while bars:
                bars.popitem()[1].close()
            quiet = not sys.stderr.isatty()
            bars[table] = tqdm(
                desc=table, total=total, disable=quiet, leave=False, unit=" rows", unit_scale=True
            )
        bars[table].update(done - bars[table].n)

    try:
        yield follow
    finally:
        for bar in bars.values():
            bar.close()


def tell(error: PotluckError, as_json: bool) -> None:
    """Print an error where it belongs."""
    message = masked(str(error))
    if logs.is_set_up():
        logging.getLogger("potluck").error(message)
    elif as_json:
        click.echo(json.dumps({"error": type(error).__name__, "message": message}), err=True)
    else:
        say(f"potluck: {message}", err=True)
