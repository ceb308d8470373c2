"""The verb that tidies a home."""

import contextlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import answer, common_options, prepare_libraries, settings_for
from potluck.contract import logs
from potluck.contract.files import remove_unless_locked
from potluck.contract.secrets import masked
from potluck.contract.settings import Settings
from potluck.scoring.releases import Releases

if TYPE_CHECKING:
    from cli.upkeep.garbage import Waste

logger = logging.getLogger("potluck.gc")


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
@click.option(
    "--log", "logged", is_flag=True, help="Tell it as a line of a log, as `schedule` does."
)
@common_options
def gc_verb(dry_run: bool, logged: bool, repo: Path | None, as_json: bool) -> None:
    """Delete what nobody needs any more: bundles, runs, traces, leftovers.

    The history of predictions goes only where a setting says so.
    """
    settings = settings_for(repo)
    if logged:
        logs.set_up(settings)
    prepare_libraries(settings)
    found = collect(settings, datetime.now(UTC), dry_run=dry_run)
    if logged:
        logger.info(gc_text(found).replace("\n ", ";"))
    else:
        answer(as_json, found, gc_text(found))


def collect(settings: Settings, now: datetime, *, dry_run: bool) -> dict[str, Any]:
    """Find what is waste and delete it; answers what went, why, and how many bytes.

    Raises:
        Locked: a bundle is being laid down, or another `gc` is at work.
    """
    from cli.upkeep.garbage import Wasted
    from cli.upkeep.references import what_is_named

    with only_look() if dry_run else Releases(settings.releases).tidying():
        named = what_is_named(settings)
        waste = Wasted(settings, named, now).find()
        if not dry_run:
            for each in waste:
                delete(each)
    return {
        "dry_run": dry_run,
        "bytes": sum(each.size for each in waste),
        "waste": [{**asdict(each), "path": str(each.path)} for each in waste],
        "undecided": [masked(doubt) for doubt in named.doubts],
    }


@contextlib.contextmanager
def only_look() -> Iterator[None]:
    yield


def delete(waste: "Waste") -> None:
    if waste.kind == "leftover":
        with contextlib.suppress(OSError):  # somebody is writing it after all
            remove_unless_locked(waste.path)
    elif waste.path.is_dir():
        shutil.rmtree(waste.path, ignore_errors=True)
    else:
        waste.path.unlink(missing_ok=True)


def gc_text(found: dict[str, Any]) -> str:
    """For people: a line for each, and what stays as it could not be decided on."""
    verb = "would delete" if found["dry_run"] else "deleted"
    count = len(found["waste"])
    head = (
        f"{verb} {count} files and folders of {found['bytes']} bytes"
        if count
        else "nothing to delete"
    )
    gone = [
        f"  {each['kind']} {each['path']}: {each['why']}; {each['size']} bytes"
        for each in found["waste"]
    ]
    stays = [
        f"  bundles stay, and runs that may be published: {doubt}" for doubt in found["undecided"]
    ]
    return "\n".join([head, *gone, *stays])
