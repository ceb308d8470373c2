"""The folder of all state: it holds data and models, so it is its owner's alone."""

from pathlib import Path

HOME_NAME = ".potluck"
PRIVATE = 0o700
OTHERS = 0o077


def make_home(home: Path) -> None:
    """Make the folder for its owner alone.

    One that is there keeps its mode: somebody may have opened it on purpose.

    Raises:
        OSError: it can't be made.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    home.mkdir(mode=PRIVATE, exist_ok=True)


def is_open_to_others(home: Path) -> bool:
    """Whether another user may enter the folder, or list it."""
    return home.is_dir() and bool(home.stat().st_mode & OTHERS)


def nearest_home(start: Path) -> Path:
    """Where a home is looked for, and made: the same from a checkout's top and from within it.

    `feast` changes into the repo's folder before it imports the definitions.
    """
    above = (start, *start.parents)
    for folder in above:
        if (folder / HOME_NAME).is_dir():
            return folder / HOME_NAME
    checkout = next((folder for folder in above if (folder / ".git").exists()), start)
    return checkout / HOME_NAME


def short_socket(home: Path) -> Path:
    """A socket path that fits the kernel's limit, the same for every process of a home."""
    import hashlib
    import os

    folder = Path(f"/tmp/potluck-{os.getuid()}")  # noqa: S108 - private_folder() checks its owner
    return folder / f"{hashlib.sha256(str(home).encode()).hexdigest()[:16]}.sock"
