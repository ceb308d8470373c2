"""What a model was made of: hashes of definition, data and dependencies, and the commit."""

import subprocess
from pathlib import Path

from potluck.contract.manifest import file_digest

PROJECT = Path(__file__).resolve().parent.parent
LOCK_FILE = "requirements.lock"


def git_commit(folder: Path) -> str | None:
    """Read the commit of the checkout that a folder lies in, marked where files differ from it.

    Returns:
        None where the folder lies in no checkout.
    """
    try:
        return git(folder, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*") or None
    except (OSError, subprocess.CalledProcessError):
        return None


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def lock_hash() -> str | None:
    """Return the sha256 of the lock file that the environment was built from.

    Returns:
        None where the file is not beside the code, as in an installed package.
    """
    path = PROJECT / LOCK_FILE
    return file_digest(path) if path.exists() else None
