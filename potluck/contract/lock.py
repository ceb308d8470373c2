"""One at a time: a lock file that the kernel gives back however its holder ends."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from potluck.contract.errors import Locked


@contextlib.contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a lock file together with others, until the block ends; waits for who holds it alone.

    Raises:
        OSError: the file can't be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def try_lock(handle: int | TextIO) -> bool:
    """Take the lock of an open file alone, unless somebody else holds it.

    Returns:
        Whether it is taken. It is given back when the file is closed.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def exclusive(path: Path, busy: str) -> Iterator[TextIO]:
    """Hold a lock file, open for reading and appending, until the block ends.

    Args:
        busy: what to say where somebody else holds it.

    Raises:
        Locked: somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if not try_lock(file):
            raise Locked(f"{busy} (it holds {path})")
        yield file
