"""Event timestamps as Feast's Redis store keeps them, a column at a time, there and back."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.errors import DataError
from potluck.redis.binary_columns import (
    content,
    lengths,
    numbers,
    one_array,
    ragged,
    tagged_numbers,
    within,
)

MICROS = 1_000_000
LONGEST_TIMESTAMP = 22
FIRST_SECONDS, LAST_SECONDS = (
    -62_135_596_800,
    253_402_300_799,
)  # the years 1 to 9999, as protobuf has it
SECONDS_PER_UNIT = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def encode_timestamps(column: "pa.Array") -> "pa.BinaryArray":
    """A `google.protobuf.Timestamp` of every row, to the microsecond, as Feast's Redis store writes
    event timestamps.

    Args:
        column: timestamps of any unit; without a zone they are UTC.

    Raises:
        DataError: one is null, or the column holds no timestamps.
    """
    return encode_micros(epoch_micros(column))


def encode_micros(micros: npt.NDArray[np.int64]) -> "pa.BinaryArray":
    """The same of microseconds since 1970; before it the seconds are negative, and nanoseconds
    never are."""
    whole, part = np.divmod(micros, MICROS)
    first, second = tagged_numbers(whole, 0x08), tagged_numbers(part * 1000, 0x10)
    first[1][whole == 0], second[1][part == 0] = 0, 0
    return ragged(np.hstack([first[0], second[0]]), np.hstack([within(*first), within(*second)]))


def decode_timestamps(
    stored: "pa.BinaryArray",
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Microseconds since 1970 of serialized `Timestamp`s, and which of them are there and whole."""
    text = pc.fill_null(stored, b"")
    sizes = lengths(text)
    sound = numbers(stored.is_valid()) & (sizes <= LONGEST_TIMESTAMP)
    data, starts = np.frombuffer(content(text), np.uint8), np.cumsum(sizes) - sizes
    parts, which = np.zeros((2, len(sizes)), np.uint64), np.zeros(len(sizes), np.intp)
    shift, inside = np.zeros(len(sizes), np.uint64), np.zeros(len(sizes), np.bool_)
    for position in range(int(sizes.max(initial=0, where=sound))):
        rows = np.flatnonzero(sound & (sizes > position))
        byte, within_number = data[starts[rows] + position].astype(np.uint64), inside[rows]
        tagged, tags = rows[~within_number], byte[~within_number]
        sound[tagged] = (tags == 0x08) | (tags == 0x10)
        which[tagged], shift[tagged], inside[tagged] = tags == 0x10, 0, True
        going, digits = rows[within_number], byte[within_number]
        sound[going] = shift[going] < 64
        parts[which[going], going] |= (digits & np.uint64(0x7F)) << np.minimum(
            shift[going], np.uint64(63)
        )
        shift[going] += np.uint64(7)
        inside[going] = digits >= 0x80
    whole, nanos = parts.view(np.int64)
    sound &= ~inside & (whole >= FIRST_SECONDS) & (whole <= LAST_SECONDS)
    return np.where(sound, whole, 0) * MICROS + nanos // 1000, sound


def epoch_micros(column: "pa.Array") -> npt.NDArray[np.int64]:
    """Microseconds since 1970 of every row; what is finer is cut off.

    Raises:
        DataError: one is null, or the column holds no timestamps.
    """
    micros, dated = micros_if_dated(column)
    if not dated.all():
        nulls = len(dated) - int(dated.sum())
        raise DataError(
            f"expected an event timestamp in every row, got {column.type} with {nulls} null(s)"
        )
    return micros


def micros_if_dated(column: "pa.Array") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Microseconds since 1970, and which rows have a timestamp at all; 0 stands where there is
    none.

    Raises:
        DataError: the column holds no timestamps.
    """
    column = one_array(column)
    dated = numbers(column.is_valid())
    if not (pa.types.is_temporal(column.type) or pa.types.is_null(column.type)):
        raise DataError(f"expected a column of event timestamps, got {column.type}")
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return numbers(pc.fill_null(column.cast(pa.int64()), 0)) // 1000, dated
    whole = column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None))).cast(pa.int64())
    return numbers(pc.fill_null(whole, 0)), dated


def seconds(column: "pa.Array") -> "pa.Array":
    """Whole seconds since 1970, downwards."""
    per_second = SECONDS_PER_UNIT[column.type.unit] if pa.types.is_timestamp(column.type) else 1
    whole = numbers(pc.fill_null(column.cast(pa.int64()), 0)) // per_second
    return pc.if_else(column.is_valid(), pa.array(whole), None)
