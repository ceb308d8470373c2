"""A worker's counters, in a file that the kernel keeps up to date however the worker ends.

The file is mapped into the worker's memory: to count costs no system call, and a killed worker
leaves its last count. The worker holds the file's lock; so a reader sees whether it lives.
"""

import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from potluck.contract.lock import try_lock

COUNTS_FILE = "counts"
NUMBER = struct.Struct("<Q")
TWO_NUMBERS = struct.Struct("<QQ")


@dataclass(frozen=True)
class Counts:
    """What a worker counted."""

    answered: int
    dropped: int


class WorkerCounts:
    """The counters of this process: first in plain memory, then in a worker's folder."""

    def __init__(self) -> None:
        self.memory: mmap.mmap | bytearray = bytearray(TWO_NUMBERS.size)
        self.handle: int | None = None
        self.answered = self.dropped = 0

    def keep_in(self, folder: Path) -> None:
        """Keep them in a new worker's folder from now on, with what was counted before.

        Raises:
            OSError: the file can't be made, or the disk is full.
        """
        handle = os.open(folder / COUNTS_FILE, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            try_lock(handle)  # the file is new, so nobody holds it
            # Reserved now: a page that a full disk can't give later would kill the process.
            os.posix_fallocate(handle, 0, mmap.PAGESIZE)
            self.memory = mmap.mmap(handle, mmap.PAGESIZE)
        except BaseException:
            os.close(handle)
            raise
        self.handle = handle
        TWO_NUMBERS.pack_into(self.memory, 0, self.answered, self.dropped)

    # Two threads count, and each writes a number of its own: neither needs a lock.

    def add_answered(self, rows: int) -> None:
        """Count answered rows. Called by the event loop alone."""
        self.answered += rows
        NUMBER.pack_into(self.memory, 0, self.answered)

    def add_dropped(self, rows: int) -> None:
        """Count rows that are not written. Called by the writing thread alone."""
        self.dropped += rows
        NUMBER.pack_into(self.memory, NUMBER.size, self.dropped)

    def close(self) -> None:
        """Give the lock back: this worker has ended."""
        if isinstance(self.memory, mmap.mmap):
            # It holds the file open, and so the lock.
            self.memory.close()
            self.memory = bytearray(TWO_NUMBERS.size)
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None


def read_counts(worker: Path) -> Counts:
    """Read a worker's counters; zeros where it could not keep any.

    Raises:
        OSError: the file can't be read.
    """
    try:
        content = (worker / COUNTS_FILE).read_bytes()
    except FileNotFoundError:
        return Counts(0, 0)
    if len(content) < TWO_NUMBERS.size:
        return Counts(0, 0)
    return Counts(*TWO_NUMBERS.unpack_from(content))


def is_alive(worker: Path) -> bool:
    """Whether the worker of a folder still runs.

    Raises:
        OSError: the file can't be opened.
    """
    try:
        handle = os.open(worker / COUNTS_FILE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(handle)
    finally:
        os.close(handle)
