"""Commands for many rows as one stream of RESP, put together from Arrow columns; hash slots of many
keys."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from redis.crc import key_slot

from potluck.redis.binary_columns import Bytes, content, joined, lengths

Part = Any
"""A command's argument: bytes that are the same for all rows, or a `pa.BinaryArray` with one value
for each."""

LARGEST_TABLE = 4096
LONGEST_KEY = 512
SLOTS = 16384
CRC16_POLYNOMIAL = 0x1021
FNV_OFFSET, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


def command_stream(parts: Sequence[Part], rows: int) -> memoryview:
    """One command per row, with these arguments (the command's name first), as bytes to send."""
    pieces: list[Part] = [b"*%d\r\n" % len(parts)]
    for part in parts:
        for piece in framed(part):
            if isinstance(piece, bytes) and isinstance(pieces[-1], bytes):
                pieces[-1] += piece
            else:
                pieces.append(piece)
    return content(joined(pieces, rows))


def framed(part: Part) -> tuple[Part, ...]:
    """An argument with its length before it."""
    if isinstance(part, bytes):
        return (b"$%d\r\n%s\r\n" % (len(part), part),)
    sizes = lengths(part)
    largest = int(sizes.max(initial=0))
    if largest == int(sizes.min(initial=largest)):
        return b"$%d\r\n" % largest, part, b"\r\n"
    return length_headers(sizes, largest), part, b"\r\n"


def length_headers(sizes: npt.NDArray[np.int64], largest: int) -> "pa.BinaryArray":
    if largest <= LARGEST_TABLE:
        return header_table(1 << largest.bit_length()).take(pa.array(sizes))
    return joined([b"$", pa.array(sizes).cast(pa.string()).cast(pa.binary()), b"\r\n"], len(sizes))


@lru_cache(maxsize=16)
def header_table(size: int) -> "pa.BinaryArray":
    return pa.array([b"$%d\r\n" % length for length in range(size)], pa.binary())


def hash_slots(keys: "pa.BinaryArray") -> npt.NDArray[np.intp]:
    """The cluster's slot of every key; a key's `{tag}` counts instead of the whole, as Redis has
    it."""
    sizes = lengths(keys)
    special = pc.match_substring(keys, b"{").to_numpy(zero_copy_only=False) | (sizes > LONGEST_KEY)
    slots = crc16(keys, np.where(special, 0, sizes)) % SLOTS
    for row in np.flatnonzero(special):
        slots[row] = key_slot(keys[int(row)].as_py())
    return slots


def crc16(keys: "pa.BinaryArray", sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """CRC16 (XMODEM) of the first `sizes` bytes of every key."""
    found: npt.NDArray[np.intp] = folded(
        keys,
        sizes,
        np.intp(0),
        lambda crc, byte: ((crc << 8) & 0xFFFF) ^ CRC_TABLE[(crc >> 8) ^ byte],
    )
    return found


def key_hashes(keys: "pa.BinaryArray") -> npt.NDArray[np.uint64]:
    """A 64-bit hash (FNV-1a) of every key: an eighth of the memory, and one of two million keys
    twice in 10^7 runs."""
    found: npt.NDArray[np.uint64] = folded(
        keys,
        lengths(keys),
        FNV_OFFSET,
        lambda hashed, byte: (hashed ^ byte.astype(np.uint64)) * FNV_PRIME,
    )
    return found


def folded(
    keys: "pa.BinaryArray",
    sizes: npt.NDArray[np.int64],
    start: Any,
    step: Callable[[Any, Bytes], Any],
) -> Any:
    """`step(found, byte)` from the first byte of every key to its last: once a position, over the
    keys that reach it.

    Args:
        sizes: how many bytes of each key count.
        start: a numpy scalar.
    """
    data, widths = np.frombuffer(content(keys), np.uint8), lengths(keys)
    if (
        len(keys) and (sizes == widths[0]).all() and (widths == widths[0]).all()
    ):  # as keys of numbers are: no look-up
        for column in np.ascontiguousarray(data.reshape(len(keys), widths[0]).T):
            start = step(start, column)
        return np.broadcast_to(start, len(keys)).copy()
    longest_first = np.argsort(-sizes, kind="stable")
    starts = (np.cumsum(widths) - widths)[longest_first]
    descending = -sizes[longest_first]
    found = np.full(len(keys), start)
    for position in range(int(sizes.max(initial=0))):
        reach = int(np.searchsorted(descending, -position, side="left"))
        found[:reach] = step(found[:reach], data[starts[:reach] + position])
    out = np.empty_like(found)
    out[longest_first] = found
    return out


def crc_of_byte(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = (crc << 1) ^ (CRC16_POLYNOMIAL if crc & 0x8000 else 0)
    return crc & 0xFFFF


CRC_TABLE = np.array([crc_of_byte(byte) for byte in range(256)], np.intp)
