"""Verbs that bring data in: ingest, apply, materialize."""

import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.output import (
    answer,
    as_of_option,
    check_as_of,
    common_options,
    now_or,
    plain,
    prepare_libraries,
    rows_progress,
    say,
    settings_for,
)
from potluck.contract.errors import UsageError
from potluck.contract.home import make_home

if TYPE_CHECKING:
    from potluck.stores.ingest.shrinking import Shrinking
    from potluck.stores.ingest.sources import Written
    from potluck.stores.materialize.materializing import Materialized


@click.command("ingest")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=1460,
    show_default=True,
    help="Rows to make without a file.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of what is made."
)
@click.option(
    "--append",
    "adding",
    is_flag=True,
    help="Add to the rows that are there; the same ones change nothing.",
)
@click.option(
    "--replace",
    "replacing",
    is_flag=True,
    help="Replace the sources, also by fewer rows than they hold.",
)
@click.option(
    "--undo",
    "undoing",
    is_flag=True,
    help="Put back what the last ingest replaced; twice goes forward.",
)
@common_options
def ingest_verb(
    files: tuple[Path, ...],
    rows: int,
    seed: int,
    adding: bool,
    replacing: bool,
    undoing: bool,
    repo: Path | None,
    as_json: bool,
) -> None:
    """Turn raw files into the repo's parquet sources, or make data to order.

    Sources are replaced whole, unless --append adds to them. What was replaced is kept until the next
    ingest.
    """
    from potluck.stores.definitions.repo import project_name
    from potluck.stores.ingest.sources import load_ingest, write_sources

    if adding + replacing + undoing > 1 or (undoing and files):
        raise click.UsageError(
            "expected one of --append, --replace and --undo, the last one without files"
        )
    settings = settings_for(repo)
    folder = settings.data_folder(project_name(settings.repo))
    if undoing:
        undo(folder, as_json)
        return
    ingest = load_ingest(settings.repo)
    if adding and not ingest.appendable:
        raise UsageError(NOT_APPENDABLE)
    check_files(files)
    sources = ingest(files, rows, seed)
    make_home(settings.home)
    may_shrink = (lambda _: True) if replacing else ask_to_shrink
    written = write_sources(folder, sources, keys=ingest.keys, adding=adding, may_shrink=may_shrink)
    found = {
        "folder": str(folder),
        "rows": written.rows,
        "before": written.before,
        "accounts": plain(written.accounts),
    }
    answer(as_json, found, "\n".join([f"wrote {folder}", *map(indented, source_lines(written))]))


def check_files(files: Sequence[Path]) -> None:
    """Refuse what has no end, or can be read only once.

    Raises:
        UsageError: one is a device, a pipe or a socket.
    """
    for file in files:
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise UsageError(
                f"expected a file, got {file}, which is a device, a pipe or a socket; write its content to a file"
            )


def undo(folder: Path, as_json: bool) -> None:
    from potluck.stores.ingest.undo import undo_ingest

    undone = undo_ingest(folder)
    before = undone.before
    lines = [
        f"  {name}: {before[name]} → {rows} rows in the source"
        for name, rows in undone.rows.items()
    ]
    head = f"put back in {folder} what the last ingest replaced; the same again brings that back"
    found = {"folder": str(folder), "rows": undone.rows, "before": undone.before}
    answer(as_json, found, "\n".join([head, *lines]))


NOT_APPENDABLE = (
    "this repo knows a row by its place in the file (APPENDABLE = False in ingest.py), so it can't tell which rows are "
    "new: ingest all files at once, as in `potluck ingest january.csv february.csv`, or give the rows an id"
)


def ask_to_shrink(shrinking: "Sequence[Shrinking]") -> bool:
    """Where somebody sits at a terminal."""
    if not at_terminal():
        return False
    for each in shrinking:
        say(f"{each.source} holds {each.before} rows; it would hold {each.after}", err=True)
    return click.confirm("Replace them?", default=False, err=True)


def at_terminal() -> bool:
    return sys.stdin.isatty()


def source_lines(written: "Written") -> list[str]:
    """What became of each source's rows, for people."""
    accounts = {account.table: account for account in written.accounts}
    lines = []
    for name, rows in written.rows.items():
        if name in accounts:
            lines.append(
                f"{accounts[name].text()}; {written.before[name]} → {rows} rows in the source"
            )
        else:
            lines.append(f"{name}: made, for others to fill")
    return lines


def indented(line: str) -> str:
    return f"  {line}"


@click.command("apply")
@click.option(
    "--breaking", is_flag=True, help="Apply even what takes away a feature that a champion reads."
)
@common_options
def apply_verb(breaking: bool, repo: Path | None, as_json: bool) -> None:
    """Check the repo's definitions against each other, the data and the champions, and register them with Feast."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from cli.data.apply_text import applied_json, applied_text
    from cli.data.champions import champions_of
    from potluck.stores.apply.applying import apply_repo
    from potluck.stores.definitions.repo import project_name

    champions, unread = champions_of(settings, project_name(settings.repo))
    applied = apply_repo(settings.repo, champions=champions, breaking=breaking)
    found = applied_json(applied, unread)
    answer(as_json, found, applied_text(settings.repo, found))


@click.command("materialize")
@click.option(
    "--force",
    metavar="REASON",
    help="Write although a check says no; the reason is told in the output.",
)
@as_of_option
@common_options
def materialize_verb(
    force: str | None, as_of: datetime | None, repo: Path | None, as_json: bool
) -> None:
    """Fill every online view, except predictions, from the offline store.

    Ends with 65, before anything is written, where a champion would no longer be fed, where more entities
    would go than POTLUCK_MATERIALIZE_MAX_GONE allows, or at an as-of date in the future.
    """
    check_as_of(as_of, force)
    settings = settings_for(repo)
    prepare_libraries(settings)
    from cli.data.champions import champions_of
    from potluck.stores.definitions.repo import open_store
    from potluck.stores.materialize.materializing import materialize

    moment = now_or(as_of)
    started = time.monotonic()
    store = open_store(settings.repo)
    read, unread = champions_of(settings, store.project)
    for sentence in unread:
        say(f"potluck: {sentence}", err=True)
    with rows_progress() as progress:
        views = materialize(settings, store, moment, progress, champions=read, force=force)
    seconds = time.monotonic() - started
    found = {
        "views": plain(views),
        "accounts": plain([view.account for view in views if view.account]),
        "unfed": plain([each for view in views for each in view.unfed]),
        "forced": force,
        "as_of": moment.isoformat(),
        "seconds": round(seconds, 3),
    }
    head = f"materialized {len(found['accounts'])} view(s) as of {moment.isoformat()}"
    forced = [f"  forced: {force}"] if force is not None else []
    answer(as_json, found, "\n".join([head, *forced, *map(view_text, views)]))


def view_text(view: "Materialized") -> str:
    """One line, and one for each feature that a champion reads and the view no longer gets."""
    gone = f"; {view.pruned} entities gone from the data taken out" if view.pruned else ""
    rows = view.account.text() if view.account else f"{view.view}: not filled"
    return "\n".join([f"  {rows}{gone}", *(f"    {each.text()}" for each in view.unfed)])
