"""The folder of all state: it holds data, models and what they answered, so it is its owner's alone."""

from pathlib import Path

PRIVATE = 0o700
OTHERS = 0o077


def make_home(home: Path) -> None:
    """Make the folder for its owner alone. One that is there keeps its mode: somebody may have opened it on purpose.

    Raises:
        OSError: it can't be made.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    home.mkdir(mode=PRIVATE, exist_ok=True)


def is_open_to_others(home: Path) -> bool:
    """Whether another user may enter the folder, or list it."""
    return home.is_dir() and bool(home.stat().st_mode & OTHERS)
