"""The thread that writes a worker's rows: a disk that is slow, full or away holds no request up.

event loop ── Sealed rows ──> queue ──> this thread ──> segment
                 (bounded)                  └── what can't be written in time is dropped and counted
"""

import logging
import queue
import threading
import time
from contextlib import suppress
from typing import NamedTuple

from potluck.inference_log.counts import WorkerCounts
from potluck.inference_log.frames import make_frame
from potluck.inference_log.layout import LogLayout, segments_bytes
from potluck.inference_log.segments import SegmentWriter

logger = logging.getLogger("potluck.serving")

RETRY_SECONDS = 0.5
LOOK_SECONDS = 1.0
"""How often the size of all segments is looked at."""


class Sealed(NamedTuple):
    """Rows that are ready to be written."""

    packed: bytes | None
    """None where they can't be: memory was full, or a value can't be packed."""
    rows: int
    answered: int
    """The worker's counter after them."""


class SegmentThread:
    """Writes what it is given, in order."""

    def __init__(self, layout: LogLayout, *, memory_bytes: int, disk_bytes: int) -> None:
        """
        Args:
            memory_bytes: of rows that wait for the disk; more are dropped.
            disk_bytes: of all segments of a home that wait for the decoder; more are dropped.
        """
        self.layout, self.memory_bytes, self.disk_bytes = layout, memory_bytes, disk_bytes
        self.counts = WorkerCounts()
        self.segments = SegmentWriter(layout, self.counts)
        self.queue: queue.SimpleQueue[Sealed | None] = queue.SimpleQueue()
        # Each is written by one thread alone: the event loop and the thread below.
        self.put_bytes = self.done_bytes = 0
        self.ending = False
        self.failure = ""
        self.disk_is_full = False
        self.looked_at = -LOOK_SECONDS
        self.thread = threading.Thread(target=self.run, name="inference-log", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def put(self, sealed: Sealed) -> None:
        """Have rows written; those that memory has no room for are dropped."""
        size = len(sealed.packed or b"")
        if self.put_bytes - self.done_bytes + size > self.memory_bytes:
            sealed, size = sealed._replace(packed=None), 0
        self.put_bytes += size
        self.queue.put(sealed)

    def stop(self, seconds: float) -> None:
        """Write what waits, and end; what the disk does not take within these seconds is lost."""
        self.ending = True
        self.queue.put(None)
        if self.thread.is_alive():
            self.thread.join(seconds)

    def run(self) -> None:
        # Before the first row: who reads the log sees by the counters what is still to come.
        with suppress(OSError):  # the first append tries again, and tells
            self.segments.open_folder()
        while (sealed := self.queue.get()) is not None:
            self.write(sealed)
            self.done_bytes += len(sealed.packed or b"")
        self.segments.close()

    def write(self, sealed: Sealed) -> None:
        """Write rows, as soon as the disk takes them."""
        if sealed.packed is None or self.is_disk_full():
            self.counts.add_dropped(sealed.rows)
            return
        frame = make_frame(sealed.packed, sealed.answered, self.counts.dropped)
        while True:
            try:
                self.segments.append(frame)
            except OSError as error:
                self.tell(f"{error.strerror or error}")
                if self.ending:
                    self.counts.add_dropped(sealed.rows)
                    return
                time.sleep(RETRY_SECONDS)
            else:
                self.tell("")
                return

    def is_disk_full(self) -> bool:
        """Whether the segments take all the room that they may; looked at once a second."""
        now = time.monotonic()
        if now - self.looked_at >= LOOK_SECONDS:
            self.looked_at = now
            was_full = self.disk_is_full
            self.disk_is_full = self.segments_bytes() >= self.disk_bytes
            if self.disk_is_full and not was_full:
                logger.error(
                    "the inference log's segments take %d bytes, which is all that they may; "
                    "rows are dropped and counted until the decoder has caught up",
                    self.disk_bytes,
                )
        return self.disk_is_full

    def segments_bytes(self) -> int:
        try:
            return segments_bytes(self.layout)
        except OSError:  # the next append says why
            return 0

    def tell(self, failure: str) -> None:
        """Log a failure once, until it is another one or none."""
        if failure and failure != self.failure:
            logger.error(
                "the inference log can't be written: %s; trying again every %g s, rows are kept "
                "in memory as long as there is room",
                failure,
                RETRY_SECONDS,
            )
        elif self.failure and not failure:
            logger.info("the inference log is written again")
        self.failure = failure
