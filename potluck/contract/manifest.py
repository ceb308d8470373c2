"""MANIFEST.json: the sha256 of every file of a bundle. The manifest's own sha256 is the bundle's
digest."""

import hashlib
import json
from pathlib import Path

from potluck.contract.errors import BundleError

MANIFEST = "MANIFEST.json"
REMEDY = "`potluck pull` lays it down again from MLflow's registry"


def write_manifest(folder: Path, names: tuple[str, ...]) -> str:
    """Write the manifest of the named files and answer the bundle's digest."""
    digests = {name: file_digest(folder / name) for name in sorted(names)}
    (folder / MANIFEST).write_text(json.dumps({"files": digests}, indent=1) + "\n")
    return bundle_digest(folder)


def bundle_digest(folder: Path) -> str:
    """sha256 of the manifest, in hex.

    Raises:
        BundleError: there is no manifest.
    """
    return file_digest(folder / MANIFEST)


def verify_manifest(folder: Path) -> tuple[str, ...]:
    """Compare every listed file with its digest and answer their names; files that are not listed
    are ignored.

    Raises:
        BundleError: a file is missing or changed, or the manifest is none.
    """
    files = listed_files(folder)
    for name, expected in files.items():
        came = file_digest(folder / name)
        if came != expected:
            raise BundleError(
                f"{name} of bundle {folder.name} is changed: expected sha256 {expected}, got "
                f"{came}; {REMEDY}"
            )
    return tuple(files)


def listed_files(folder: Path) -> dict[str, str]:
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        plain = all(
            is_plain_name(name) and isinstance(digest, str) for name, digest in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(
            f"bundle {folder.name} has no readable {MANIFEST}: {error}; {REMEDY}"
        ) from None
    if not plain:
        raise BundleError(
            f"{MANIFEST} of bundle {folder.name} lists something else than plain file names; "
            f"{REMEDY}"
        )
    return dict(files)


def is_plain_name(name: str) -> bool:
    """Say whether a name stays in its folder, and is one that a file can have."""
    return Path(name).name == name and name not in ("", "..") and "\0" not in name


def file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(
            f"{path.name} of bundle {path.parent.name} can't be read: {error.strerror}; {REMEDY}"
        ) from None
