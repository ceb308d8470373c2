"""Verbs that keep a copy of a home, and make a home of it: backup, restore."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cli.output import answer, common_options, settings_for
from potluck import __version__
from potluck.contract.errors import DataError, UsageError
from potluck.contract.files import staging_folder, write_whole
from potluck.contract.formats import NEWEST, Format
from potluck.contract.manifest import file_digest

DESCRIPTION, HOME = "backup.json", "home"


@dataclass(frozen=True)
class Backup:
    """What a backup says of itself; written last, so that one without it is not whole."""

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
    from cli.upkeep.home_copy import copy_home, not_in_it

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
        described = describe(made, settings.home, list(not_in_it(settings)))
        put(made, target)
    answer(as_json, {"to": str(target), **told(described)}, made_text(target, described))


@click.command("restore")
@click.argument("source", metavar="FROM", type=click.Path(path_type=Path, exists=True))
@common_options
def restore_verb(source: Path, repo: Path | None, as_json: bool) -> None:
    """Make a home of the backup FROM, where there is none yet (POTLUCK_HOME)."""
    settings = settings_for(repo)
    check_new(settings.home)
    described = read_backup(source)
    with staging_folder(settings.home.parent) as staging:
        made = staging / settings.home.name
        shutil.copytree(source / HOME, made)
        check_whole(made, described)
        made.chmod(0o700)
        put(made, settings.home)
    found = {"home": str(settings.home), **told(described)}
    answer(as_json, found, restored_text(settings.home, described))


def check_new(folder: Path) -> None:
    """
    Raises:
        UsageError: something is there that would be overwritten.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"expected a new or an empty folder, but there is something in {folder}")


def put(made: Path, target: Path) -> None:
    """Give a folder its place, in one step."""
    if target.is_dir():
        target.rmdir()
    os.replace(made, target)


def describe(made: Path, home: Path, not_in_it: list[str]) -> Backup:
    folder = made / HOME
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {str(path.relative_to(folder)): file_digest(path) for path in paths}
    described = Backup(__version__, datetime.now(UTC), str(home), files, not_in_it)
    write_whole(made / DESCRIPTION, BACKUP.dump_json(described, indent=1) + b"\n")
    return described


def read_backup(source: Path) -> Backup:
    """
    Raises:
        DataError: the folder is no whole backup.
        NewerFormat: a newer version made it.
    """
    try:
        return BACKUP.validate_json((source / DESCRIPTION).read_bytes())
    except (OSError, ValidationError):
        raise DataError(
            f"expected a backup that `potluck backup` made, found no {DESCRIPTION} that can be read in {source}"
        ) from None


def check_whole(folder: Path, described: Backup) -> None:
    """
    Raises:
        DataError: a file is gone or changed.
    """
    for name, expected in described.files.items():
        path = folder / name
        if not path.is_file() or file_digest(path) != expected:
            raise DataError(f"{name} of the backup is gone or changed; expected sha256 {expected}")


def told(described: Backup) -> dict[str, object]:
    return {
        "made_at": described.made_at.isoformat(),
        "version": described.version,
        "files": len(described.files),
        "not_in_it": described.not_in_it,
    }


def made_text(target: Path, described: Backup) -> str:
    lines = [f"copied {len(described.files)} files of {described.home} to {target}"]
    return "\n".join([*lines, *(f"  not in it: {each}" for each in described.not_in_it)])


def restored_text(home: Path, described: Backup) -> str:
    lines = [f"made {home} of the backup of {described.made_at:%F %T} UTC; it can be served"]
    lines += [f"  not in it: {each}" for each in described.not_in_it]
    if str(home) != described.home:
        lines.append(
            "  run `potluck apply` before ingest, materialize, train or nightly: the home moved"
        )
    return "\n".join(lines)
