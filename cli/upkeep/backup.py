"""Verbs that keep a copy of a home, and make a home of it: backup, restore."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cli.options import common_options
from cli.output import print_result
from cli.startup import settings_for
from potluck import __version__
from potluck.contract.errors import DataError, UsageError
from potluck.contract.files import staging_folder, write_whole
from potluck.contract.formats import NEWEST, Format
from potluck.contract.manifest import file_digest

DESCRIPTION, HOME = "backup.json", "home"


@dataclass(frozen=True)
class Backup:
    """What a backup says of itself; it is written last, so a backup without it is not whole."""

    version: str
    made_at: AwareDatetime
    home: str
    files: dict[str, str]
    """Path below the home -> sha256."""
    not_in_it: list[str]
    format: Format = NEWEST


BACKUP = TypeAdapter(Backup)


@click.command("backup")
@click.argument("to", type=click.Path(path_type=Path))
@common_options
def backup_verb(to: Path, repo: Path | None, as_json: bool) -> None:
    """Copy this home into the new folder TO, while everything runs."""
    from cli.upkeep.home_copy import copy_home, not_in_backup

    settings = settings_for(repo)
    target = to.expanduser().absolute()
    check_new(target)
    if not settings.home.is_dir():
        raise UsageError(f"expected a home at {settings.home}, found none; set POTLUCK_HOME")
    if target.is_relative_to(settings.home):
        raise UsageError(f"expected a folder outside the home {settings.home}, got {target}")
    with staging_folder(target.parent) as staging:
        made = staging / target.name
        made.mkdir(mode=0o700)  # it holds what the home holds
        copy_home(settings, made / HOME)
        backup = write_description(made, settings.home, list(not_in_backup(settings)))
        move_into_place(made, target)
    found = {"to": str(target), **backup_json(backup)}
    print_result(found, backup_text(target, backup), as_json=as_json)


@click.command("restore")
@click.argument("source", metavar="FROM", type=click.Path(path_type=Path, exists=True))
@common_options
def restore_verb(source: Path, repo: Path | None, as_json: bool) -> None:
    """Make a home of the backup FROM, where there is none yet (POTLUCK_HOME)."""
    settings = settings_for(repo)
    check_new(settings.home)
    backup = read_backup(source)
    with staging_folder(settings.home.parent) as staging:
        made = staging / settings.home.name
        shutil.copytree(source / HOME, made)
        check_whole(made, backup)
        made.chmod(0o700)
        move_into_place(made, settings.home)
    found = {"home": str(settings.home), **backup_json(backup)}
    print_result(found, restored_text(settings.home, backup), as_json=as_json)


def check_new(folder: Path) -> None:
    """
    Raises:
        UsageError: something is there that would be overwritten.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"expected a new or an empty folder, but there is something in {folder}")


def move_into_place(made: Path, target: Path) -> None:
    """Move a folder to where nothing is, or an empty folder, in one step."""
    if target.is_dir():
        target.rmdir()
    os.replace(made, target)


def write_description(made: Path, home: Path, not_in_it: list[str]) -> Backup:
    """Write what a backup says of itself, with the digests of the files that it holds."""
    folder = made / HOME
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {str(path.relative_to(folder)): file_digest(path) for path in paths}
    backup = Backup(__version__, datetime.now(UTC), str(home), files, not_in_it)
    write_whole(made / DESCRIPTION, BACKUP.dump_json(backup, indent=1) + b"\n")
    return backup


def read_backup(source: Path) -> Backup:
    """
    Raises:
        DataError: the folder is not a whole backup.
        NewerFormat: a newer version made it.
    """
    try:
        return BACKUP.validate_json((source / DESCRIPTION).read_bytes())
    except (OSError, ValidationError):
        raise DataError(
            f"expected a backup that `potluck backup` made, found no {DESCRIPTION} that can be "
            f"read in {source}"
        ) from None


def check_whole(folder: Path, backup: Backup) -> None:
    """
    Raises:
        DataError: a file is gone or changed.
    """
    for name, expected in backup.files.items():
        path = folder / name
        if not path.is_file() or file_digest(path) != expected:
            raise DataError(f"{name} of the backup is gone or changed; expected sha256 {expected}")


def backup_json(backup: Backup) -> dict[str, object]:
    return {
        "made_at": backup.made_at.isoformat(),
        "version": backup.version,
        "files": len(backup.files),
        "not_in_it": backup.not_in_it,
    }


def backup_text(target: Path, backup: Backup) -> str:
    lines = [f"copied {len(backup.files)} files of {backup.home} to {target}"]
    lines += [f"  not in it: {each}" for each in backup.not_in_it]
    return "\n".join(lines)


def restored_text(home: Path, backup: Backup) -> str:
    lines = [f"made {home} of the backup of {backup.made_at:%F %T} UTC; it can be served"]
    lines += [f"  not in it: {each}" for each in backup.not_in_it]
    if str(home) != backup.home:
        lines.append(
            "  run `potluck apply` before ingest, materialize, train or nightly: the home moved"
        )
    return "\n".join(lines)
