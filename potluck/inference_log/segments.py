"""A worker's own segments: appended to, and begun anew at a size.

Each append is whole or is taken back, so a full disk leaves no half frame behind which more would
follow.
"""

import contextlib
import os
import time
from pathlib import Path

from potluck.inference_log.counts import WorkerCounts
from potluck.inference_log.layout import LogLayout, segment_name

SEGMENT_BYTES = 16 << 20
"""A segment of this size is closed; the decoder removes it when it has read it."""


class SegmentWriter:
    """Appends frames to the segments of one worker."""

    def __init__(self, layout: LogLayout, counts: WorkerCounts) -> None:
        self.layout, self.counts = layout, counts
        self.folder: Path | None = None
        self.handle: int | None = None
        self.number = 0
        self.size = 0

    def append(self, frame: bytes) -> None:
        """Write a frame behind the others.

        Raises:
            OSError: it can't be written; nothing of it is left.
        """
        folder = self.open_folder()
        if self.handle is None:
            path = folder / segment_name(self.number)
            self.handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            written = os.write(self.handle, frame)
            if written < len(frame):
                # What a full disk took of it; the rest would find no room either.
                raise OSError(f"wrote {written} of {len(frame)} bytes")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.handle, self.size)
            raise
        self.size += len(frame)
        if self.size >= SEGMENT_BYTES:
            self.close_segment()

    def open_folder(self) -> Path:
        """Return the worker's folder; it is made, with its counters, at the first call.

        Raises:
            OSError: it can't be made.
        """
        if self.folder is None:
            self.folder = make_worker_folder(self.layout.workers, self.counts)
        return self.folder

    def close_segment(self) -> None:
        """Begin another segment with the next frame."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None
            self.number += 1
            self.size = 0

    def close(self) -> None:
        """End; the counters' lock is given back, which tells the decoder."""
        self.close_segment()
        self.counts.close()


def make_worker_folder(workers: Path, counts: WorkerCounts) -> Path:
    """Make the folder of a new worker, with its counters in it.

    It gets its name when the counters are locked: else the decoder would take a worker that
    begins for one that has ended.

    Raises:
        OSError: it can't be made.
    """
    workers.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}-{os.getpid()}"
    staging = workers / f".{name}"
    staging.mkdir(mode=0o700)
    try:
        counts.keep_in(staging)
        folder = workers / name
        os.rename(staging, folder)
    except OSError:
        counts.close()
        with contextlib.suppress(OSError):
            for path in staging.iterdir():
                path.unlink()
            staging.rmdir()
        raise
    return folder
