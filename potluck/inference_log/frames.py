"""Frames: the bytes of a segment.

    magic, length, checksum | answered, dropped | rows

A frame is written by one append and read whole or not at all. Its two numbers are the worker's
counters after these rows; so rows and counters agree wherever a reader stops.

The rows are in Python's `marshal` form, pinned to one version: it packs a row in 2 us, where JSON
takes 20, and reading it runs no code. A segment lives for seconds; it is no format to keep.
"""

import marshal
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from potluck.inference_log.rows import LoggedRow

MAGIC = b"PLR1"
HEADER = struct.Struct("<4sII")
COUNTERS = struct.Struct("<QQ")
MARSHAL_VERSION = 4
"""Of Python 3.4 and later, so that an upgrade of Python reads what lies there."""


class Frame(NamedTuple):
    """Some rows, and where they end."""

    rows: list[LoggedRow]
    answered: int
    """Rows that the worker has answered up to here."""
    dropped: int
    """Of these, rows that it did not write."""
    end: int
    """Offset behind the frame in its segment."""


class DamagedSegment(Exception):
    """The bytes at this offset are no frame, and what follows can't be found."""


def pack_rows(rows: list[tuple[Any, ...]]) -> bytes:
    """Pack rows; each is a `LoggedRow.as_tuple()`.

    Raises:
        ValueError: a value is of no plain type.
    """
    return marshal.dumps(rows, MARSHAL_VERSION)


def make_frame(packed: bytes, answered: int, dropped: int) -> bytes:
    """Put packed rows into a frame, with the worker's counters after them."""
    body = COUNTERS.pack(answered, dropped) + packed
    return HEADER.pack(MAGIC, len(body), zlib.crc32(body)) + body


def read_frames(data: bytes, start: int = 0) -> Iterator[Frame]:
    """Read whole frames; one that is not there wholly ends the reading.

    Args:
        data: a segment from its first byte.
        start: offset of the first frame to read.

    Raises:
        DamagedSegment: the bytes are changed.
    """
    view, place = memoryview(data), start
    while place + HEADER.size <= len(data):
        magic, length, checksum = HEADER.unpack_from(data, place)
        if magic != MAGIC:
            raise DamagedSegment(f"expected a frame at byte {place}, found something else")
        body = view[place + HEADER.size : place + HEADER.size + length]
        if len(body) < length:
            return
        if zlib.crc32(body) != checksum:
            raise DamagedSegment(f"the frame at byte {place} is changed")
        place += HEADER.size + length
        answered, dropped = COUNTERS.unpack_from(body)
        rows = [LoggedRow(*row) for row in marshal.loads(body[COUNTERS.size :])]  # noqa: S302
        yield Frame(rows, answered, dropped, place)
