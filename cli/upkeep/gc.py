"""The verb gc: what nobody needs any more is deleted from a home."""

import contextlib
import logging
import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import common_options
from cli.output import print_result
from cli.startup import prepare_libraries, settings_for
from potluck.contract import logs
from potluck.contract.files import remove_unless_locked
from potluck.contract.secrets import masked
from potluck.contract.settings import Settings
from potluck.scoring.releases import Releases

if TYPE_CHECKING:
    from cli.upkeep.garbage import Garbage

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
    found = collect_garbage(settings, datetime.now(UTC), dry_run=dry_run)
    if logged:
        logger.info(gc_text(found).replace("\n ", ";"))
    else:
        print_result(found, gc_text(found), as_json=as_json)


def collect_garbage(settings: Settings, now: datetime, *, dry_run: bool) -> dict[str, Any]:
    """Find what nobody needs and delete it.

    Returns:
        What went, why, and how many bytes; and what could not be decided on.

    Raises:
        Locked: a bundle is being laid down, or another `gc` is at work.
    """
    from cli.upkeep.garbage import GarbageSearch
    from cli.upkeep.references import find_references

    # The lock spans the search and the deletion: a bundle that is laid down again between them
    # would be deleted.
    lock = contextlib.nullcontext() if dry_run else Releases(settings.releases).tidying()
    with lock:
        references = find_references(settings)
        garbage = GarbageSearch(settings, references, now).find()
        if not dry_run:
            for each in garbage:
                delete(each)
    size = sum(each.size for each in garbage)
    waste = [{**asdict(each), "path": str(each.path)} for each in garbage]
    undecided = [masked(doubt) for doubt in references.doubts]
    return {"dry_run": dry_run, "bytes": size, "waste": waste, "undecided": undecided}


def delete(garbage: "Garbage") -> None:
    if garbage.kind == "leftover":
        with contextlib.suppress(OSError):  # somebody is writing it after all
            remove_unless_locked(garbage.path)
    elif garbage.path.is_dir():
        shutil.rmtree(garbage.path, ignore_errors=True)
    else:
        garbage.path.unlink(missing_ok=True)


def gc_text(found: dict[str, Any]) -> str:
    """For people: a line for each, and what stays as it could not be decided on."""
    count = len(found["waste"])
    deleted = "would delete" if found["dry_run"] else "deleted"
    lines = ["nothing to delete"]
    if count:
        lines = [f"{deleted} {count} files and folders of {found['bytes']} bytes"]
    for each in found["waste"]:
        lines.append(f"  {each['kind']} {each['path']}: {each['why']}; {each['size']} bytes")
    for doubt in found["undecided"]:
        lines.append(f"  bundles stay, and runs that may be published: {doubt}")
    return "\n".join(lines)
