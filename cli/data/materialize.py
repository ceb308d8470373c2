"""The verb materialize: the online store is filled from the offline store."""

import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import as_of_option, check_as_of, common_options, now_or
from cli.output import jsonable, print_result, say
from cli.progress import rows_progress
from cli.startup import prepare_libraries, settings_for

if TYPE_CHECKING:
    from potluck.stores.materialize.run import Materialized


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

    Ends with 65, before anything is written, where a champion would no longer be fed, where more
    entities would go than POTLUCK_MATERIALIZE_MAX_GONE allows, or at an as-of date in the future.
    """
    check_as_of(as_of, force)
    settings = settings_for(repo)
    prepare_libraries(settings)
    from cli.data.champions import champions_of
    from potluck.stores.definitions.repo import open_store
    from potluck.stores.materialize.run import materialize

    moment = now_or(as_of)
    started = time.monotonic()
    store = open_store(settings.repo)
    champions, unread = champions_of(settings, store.project)
    for sentence in unread:
        say(f"potluck: {sentence}", err=True)
    with rows_progress() as progress:
        views = materialize(settings, store, moment, progress, champions=champions, force=force)
    seconds = time.monotonic() - started
    accounts = [view.account for view in views if view.account]
    unfed = [feature for view in views for feature in view.unfed]
    found = {
        "views": jsonable(views),
        "accounts": jsonable(accounts),
        "unfed": jsonable(unfed),
        "forced": force,
        "as_of": moment.isoformat(),
        "seconds": round(seconds, 3),
    }
    lines = [f"materialized {len(accounts)} view(s) as of {moment.isoformat()}"]
    if force is not None:
        lines.append(f"  forced: {force}")
    for view in views:
        lines += view_lines(view)
    print_result(found, "\n".join(lines), as_json=as_json)


def view_lines(view: "Materialized") -> list[str]:
    """One line, and one for each feature that a champion reads and the view no longer gets."""
    line = f"  {view.account.text()}" if view.account else f"  {view.view}: not filled"
    if view.pruned:
        line += f"; {view.pruned} entities gone from the data taken out"
    return [line, *(f"    {each.text()}" for each in view.unfed)]
