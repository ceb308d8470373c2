"""The verb ingest: raw files become the repo's sources."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import common_options
from cli.output import jsonable, print_result, say
from cli.startup import settings_for
from potluck.contract.errors import UsageError
from potluck.contract.home import make_home

if TYPE_CHECKING:
    from potluck.stores.ingest.fewer_rows import FewerRows
    from potluck.stores.ingest.sources import Written

NOT_APPENDABLE = (
    "this repo knows a row by its place in the file (APPENDABLE = False in ingest.py), so it can't "
    "tell which rows are new: ingest all files at once, as in `potluck ingest january.csv "
    "february.csv`, or give the rows an id"
)


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

    Sources are replaced whole, unless --append adds to them. What was replaced is kept until the
    next ingest.
    """
    from potluck.stores.definitions.repo import project_name
    from potluck.stores.ingest.ingest_file import load_ingest
    from potluck.stores.ingest.sources import write_sources

    if adding + replacing + undoing > 1 or (undoing and files):
        raise click.UsageError(
            "expected one of --append, --replace and --undo, the last one without files"
        )
    settings = settings_for(repo)
    folder = settings.data_folder(project_name(settings.repo))
    if undoing:
        undo(folder, as_json=as_json)
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
        "accounts": jsonable(written.accounts),
    }
    lines = [f"wrote {folder}", *(f"  {line}" for line in source_lines(written))]
    print_result(found, "\n".join(lines), as_json=as_json)


def check_files(files: Sequence[Path]) -> None:
    """Refuse what has no end, or can be read only once.

    Raises:
        UsageError: one is a device, a pipe or a socket.
    """
    for file in files:
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise UsageError(
                f"expected a file, got {file}, which is a device, a pipe or a socket; "
                "write its content to a file"
            )


def ask_to_shrink(shrinking: "Sequence[FewerRows]") -> bool:
    """Ask at a terminal whether fewer rows may replace more; without a terminal they may not."""
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
            became = f"{written.before[name]} → {rows} rows in the source"
            lines.append(f"{accounts[name].text()}; {became}")
        else:
            lines.append(f"{name}: made, for others to fill")
    return lines


def undo(folder: Path, *, as_json: bool) -> None:
    from potluck.stores.ingest.undo import undo_ingest

    undone = undo_ingest(folder)
    lines = [f"put back in {folder} what the last ingest replaced; the same again brings that back"]
    for name, rows in undone.rows.items():
        lines.append(f"  {name}: {undone.before[name]} → {rows} rows in the source")
    found = {"folder": str(folder), "rows": undone.rows, "before": undone.before}
    print_result(found, "\n".join(lines), as_json=as_json)
