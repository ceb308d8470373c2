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
from potluck.contract.errors import UsageError

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
@common_options
def apply_verb(repo: Path | None, as_json: bool) -> None:
    """Check the repo's definitions and register them with Feast."""
    settings = settings_for(repo)
    prepare_libraries(settings)
    from potluck.stores.apply import apply_repo

    contracts = [definition.contract for _, definition in sorted(apply_repo(settings.repo).items())]
    models = {contract.service: len(contract.columns) for contract in contracts}
    precomputed = {p.service: contract.service for contract in contracts for p in contract.publications}
    lines = [f"  {name}: a model of {columns} columns" for name, columns in models.items()]
    lines += [f"  {name}: precomputed by {model}" for name, model in precomputed.items()]
    found = {"models": models, "precomputed": precomputed}
    answer(as_json, found, "\n".join([f"applied {settings.repo}", *lines]))


@click.command("materialize")
@click.option("--force", metavar="REASON", help="Write although a champion reads what is no longer fed.")
@as_of_option
@common_options
def materialize_verb(force: str | None, as_of: datetime | None, repo: Path | None, as_json: bool) -> None:
    """Fill every online view, except predictions, from the offline store."""
    if force is not None and not force.strip():
        raise UsageError("expected a reason behind --force, which goes into the record; got none")
    settings = settings_for(repo)
    prepare_libraries(settings)
    from cli.champions import champions
    from potluck.stores.materialize import materialize
    from potluck.stores.repo import open_store

    moment = now_or(as_of)
    started = time.monotonic()
    store = open_store(settings.repo)
    read = champions(settings, store.project)
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
