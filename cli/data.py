"""Verbs that bring data in: ingest, apply, materialize."""

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.output import (
    answer,
    as_of_option,
    common_options,
    now_or,
    plain,
    prepare_libraries,
    rows_progress,
    settings_for,
)

if TYPE_CHECKING:
    from potluck.stores.materialize import Materialized


@click.command("ingest")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--rows", type=click.IntRange(min=1), default=1460, show_default=True, help="Rows to make without a file."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of what is made.")
@common_options
def ingest_verb(files: tuple[Path, ...], rows: int, seed: int, repo: Path | None, as_json: bool) -> None:
    """Turn raw files into the repo's parquet sources, or make data to order."""
    from potluck.stores.repo import project_name
    from potluck.stores.sources import load_ingest, write_sources

    settings = settings_for(repo)
    folder = settings.data_folder(project_name(settings.repo))
    written = write_sources(folder, load_ingest(settings.repo)(files, rows, seed))
    lines = [f"  {name}: {count} rows" for name, count in written.items()]
    answer(as_json, {"folder": str(folder), "rows": written}, "\n".join([f"wrote {folder}", *lines]))


@click.command("apply")
@click.option("--breaking", is_flag=True, help="Apply even what takes away a feature that a champion reads.")
@common_options
def apply_verb(breaking: bool, repo: Path | None, as_json: bool) -> None:
    """Check the repo's definitions against each other, the data and the champions, and register them with Feast."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from cli.applied import applied_json, applied_text, champions_of
    from potluck.stores.apply import apply_repo

    champions, unread = champions_of(settings)
    applied = apply_repo(settings.repo, champions=champions, breaking=breaking)
    found = applied_json(applied, unread)
    answer(as_json, found, applied_text(settings.repo, found))


@click.command("materialize")
@as_of_option
@common_options
def materialize_verb(as_of: datetime | None, repo: Path | None, as_json: bool) -> None:
    """Fill every online view, except predictions, from the offline store."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from potluck.stores.materialize import materialize
    from potluck.stores.repo import open_store

    moment = now_or(as_of)
    started = time.monotonic()
    with rows_progress() as progress:
        views = materialize(settings, open_store(settings.repo), moment, progress)
    seconds = time.monotonic() - started
    found = {"views": plain(views), "as_of": moment.isoformat(), "seconds": round(seconds, 3)}
    answer(
        as_json,
        found,
        "\n".join([f"materialized {len(views)} view(s) as of {moment.isoformat()}", *map(view_text, views)]),
    )


def view_text(view: "Materialized") -> str:
    """One line, and one for each kind of rows that stayed out."""
    gone = f", {view.pruned} gone from the data taken out" if view.pruned else ""
    stayed_out = {
        "older": (view.skipped_older, "skipped: the online store holds a newer one"),
        "future": (view.skipped_future, "skipped: dated in the future"),
        "rejected": (view.rejected, "refused by Redis: the key holds something else than a hash"),
    }
    notes = [
        f"    {count} {why} ({', '.join(view.examples.get(reason, []))})"
        for reason, (count, why) in stayed_out.items()
        if count
    ]
    return "\n".join([f"  {view.view}: {view.entities} entities, {view.written} rows written{gone}", *notes])
