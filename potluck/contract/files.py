"""Files and folders that are written whole or not at all.

Each is made beside its place under a name of `STAGED`, and renamed when it is done. Its writer
holds a lock on it, which the kernel gives back however the writer ends. So what a killed writer
left can be told from what is being written, and the next write into the folder removes it.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".potluck-"
STAGED = f"{PREFIX}*"
"""Names of what is being written."""
READABLE = 0o644
"""A server under another user may read it, where it may enter the home."""


def write_whole(path: Path, content: bytes, *, mode: int = READABLE) -> None:
    """Put a file in its place, or leave what was there; the folder is made.

    Raises:
        OSError: it can't be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, mode=mode) as staging:
        staging.write_bytes(content)


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = READABLE, suffix: str = "") -> Iterator[Path]:
    """An empty file beside `path` to write into, which takes its place when the block ends well.

    Args:
        suffix: what the file's name ends with meanwhile, for writers that go by it.

    Raises:
        OSError: it can't be written; what was there before stays, and nothing is left behind.
    """
    sweep(path.parent)
    staging, handle = locked_file(path.parent, suffix)
    try:
        yield staging
        os.fchmod(handle, mode)
        os.fsync(handle)
        os.replace(staging, path)
        sync_folder(path.parent)
    finally:
        staging.unlink(missing_ok=True)
        os.close(handle)


@contextlib.contextmanager
def staging_folder(parent: Path) -> Iterator[Path]:
    """An empty folder in `parent`, to be filled and renamed from there; what stays in it is
    removed."""
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    folder, handle = locked_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def sweep(folder: Path) -> None:
    """Remove what killed writers left in a folder."""
    for path in folder.glob(STAGED):
        with contextlib.suppress(OSError):  # somebody else's, or gone since
            remove_unless_locked(path)


def remove_unless_locked(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(handle)


def locked_file(folder: Path, suffix: str) -> tuple[Path, int]:
    """A new file and an open handle that holds its lock."""
    while True:
        handle, name = tempfile.mkstemp(prefix=PREFIX, suffix=suffix, dir=folder)
        if locked(handle):
            return Path(name), handle


def locked_folder(parent: Path) -> tuple[Path, int]:
    """A new folder and an open handle that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with contextlib.suppress(FileNotFoundError):  # swept before it was opened
            handle = os.open(folder, os.O_RDONLY)
            if locked(handle):
                return folder, handle


def locked(handle: int) -> bool:
    """Take the lock of what was just made; False, and closed, where another writer swept it before.

    Where the file system knows no locks, nothing is ever swept.
    """
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_SH)  # waits while a sweeper holds it, which then removes it
    if os.fstat(handle).st_nlink:
        return True
    os.close(handle)
    return False


def copy_synced(source: Path, target: Path) -> None:
    """Copy a file and wait until it is on the disk."""
    shutil.copyfile(source, target)
    sync_file(target)


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk.

    Raises:
        OSError: the disk failed, or is full: some file systems say so only now.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Wait until a rename is on the disk, where the file system offers that for folders."""
    with contextlib.suppress(OSError):
        sync_file(folder)
