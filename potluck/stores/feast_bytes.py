"""Arrow columns -> Feast's Redis bytes, a column at a time: what `potluck.contract.redis_format` writes for one row.

Redis is quicker than Python's loops, so nothing here goes row by row, but for Feast's rarer value types (lists, sets,
maps, JSON), whose bytes come from Feast's own conversion.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.errors import DataError
from potluck.contract.features import Field
from potluck.contract.redis_format import INT32_TYPE, INT64_TYPE, NULL, NULL_TIMESTAMP, STRING_TYPE

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.uint64]

BYTES_TYPE, TIMESTAMP_TYPE = 1, 8
MICROS = 1_000_000
LONGEST_TIMESTAMP = 22
LARGEST_SECONDS = 253_402_300_800  # the year 10000
SECONDS_PER_UNIT = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

KEY_TYPES = {
    "string": STRING_TYPE,
    "bytes": BYTES_TYPE,
    "int32": INT32_TYPE,
    "int64": INT64_TYPE,
    "unix_timestamp": TIMESTAMP_TYPE,
}
"""Feast's types of a join key, by the names of contracts and of `feast.ValueType` in lower case."""

ALIASES = {"double": "float64", "float": "float32"}


def entity_keys(project: str, keys: Sequence[Field], table: "pa.Table | pa.RecordBatch") -> "pa.BinaryArray":
    """The Redis key of every row; the order of the join keys does not matter.

    Raises:
        DataError: a join key is null, or not of its declared type.
    """
    return typed_entity_keys(project, {key.name: key.dtype for key in keys}, table)


def typed_entity_keys(project: str, dtypes: dict[str, str], table: "pa.Table | pa.RecordBatch") -> "pa.BinaryArray":
    """`entity_keys` by the names and types of the join keys, which may be all that Feast allows (`KEY_TYPES`)."""
    names = sorted(dtypes)
    head = struct.pack("<I", len(names)) + b"".join(
        struct.pack("<II", STRING_TYPE, len(name.encode())) + name.encode() for name in names
    )
    pieces: list[Any] = [head]
    for name in names:
        pieces += key_pieces(name, one_array(table.column(name)), dtypes[name])
    return joined([*pieces, project.encode()], table.num_rows)


def key_pieces(name: str, column: "pa.Array", dtype: str) -> list[Any]:
    """Type, length and value of a join key in every row."""
    if column.null_count:
        raise DataError(f"join key {name} is null in {column.null_count} row(s); expected a value in each")
    if dtype not in KEY_TYPES:
        raise DataError(f"join key {name} is of type {dtype}; expected one of {', '.join(KEY_TYPES)}")
    kind = struct.pack("<I", KEY_TYPES[dtype])
    try:
        if dtype in ("string", "bytes"):
            text = as_binary(column, dtype)
            return [kind, fixed_width(lengths(text).astype("<u4")), text]
        whole = seconds(column) if dtype == "unix_timestamp" else column.cast(getattr(pa, dtype)())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"join key {name} is declared {dtype}, but holds {column.type}: {error}") from None
    width = 4 if dtype == "int32" else 8
    return [kind + struct.pack("<I", width), fixed_width(numbers(whole).astype(f"<i{width}"))]


def encode_values(column: "pa.Array", dtype: str, null: bytes = NULL) -> "pa.BinaryArray":
    """Feast's serialized `Value` of every row.

    Args:
        column: values, of the declared type or of one that casts to it without loss.
        dtype: as in a contract, or a `feast.ValueType` in lower case.
        null: what stands for a null: Feast's explicit null, or no bytes at all, as `feast materialize` writes it.
    """
    column, dtype = one_array(column), ALIASES.get(dtype, dtype)
    encoder = ENCODERS.get(dtype)
    if encoder is None:
        return by_feast(column, dtype, null)
    try:
        return encoder(column, null)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return by_feast(column, {new: old for old, new in ALIASES.items()}.get(dtype, dtype), null)


def encode_float64(column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    return tagged_floats(column.cast(pa.float64()), b"\x29", "<f8", null)


def encode_float32(column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    return tagged_floats(column.cast(pa.float32(), safe=pa.types.is_integer(column.type)), b"\x35", "<f4", null)


def encode_int64(column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    return tagged_varints(column, column.cast(pa.int64()), b"\x20", null)


def encode_int32(column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    return tagged_varints(column, column.cast(pa.int32()), b"\x18", null)


def encode_bool(column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    if not pa.types.is_boolean(column.type) and not pa.types.is_null(column.type):
        raise pa.ArrowInvalid("Feast's own conversion decides")
    return tagged_varints(column, column.cast(pa.int8()), b"\x38", null)


def encode_string(column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    return tagged_bytes(as_binary(column, "string"), b"\x12", null)


def encode_bytes(column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    return tagged_bytes(as_binary(column, "bytes"), b"\x0a", null)


def encode_unix_timestamp(column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    """Whole seconds. Where any row holds one, Feast keeps a null as the least number of 64 bits."""
    if not pa.types.is_timestamp(column.type):
        raise pa.ArrowInvalid("Feast's own conversion decides")
    return tagged_varints(pa.nulls(0), pc.fill_null(seconds(column), NULL_TIMESTAMP), b"\x40", null)


ENCODERS: "dict[str, Callable[[pa.Array, bytes], pa.BinaryArray]]" = {
    "float64": encode_float64,
    "float32": encode_float32,
    "int64": encode_int64,
    "int32": encode_int32,
    "bool": encode_bool,
    "string": encode_string,
    "bytes": encode_bytes,
    "unix_timestamp": encode_unix_timestamp,
}


def by_feast(column: "pa.Array", dtype: str, null: bytes) -> "pa.BinaryArray":
    """What `feast materialize` makes of a column, value by value.

    Raises:
        DataError: Feast has no such type, or refuses the values.
    """
    from feast.type_map import python_values_to_proto_values
    from feast.value_type import ValueType

    try:
        values = python_values_to_proto_values(column.to_numpy(zero_copy_only=False), ValueType[dtype.upper()])
    except Exception as error:
        raise DataError(f"Feast can't store {column.type} as {dtype}: {type(error).__name__}: {error}") from error
    return pa.array([value.SerializeToString() or null for value in values], pa.binary())


def encode_timestamps(column: "pa.Array") -> "pa.BinaryArray":
    """A `google.protobuf.Timestamp` of every row, to the microsecond, as Feast's Redis store writes event timestamps.

    Args:
        column: timestamps of any unit; without a zone they are UTC.

    Raises:
        DataError: one is null, or the column holds no timestamps.
    """
    micros = epoch_micros(column)
    whole, part = np.divmod(micros, MICROS)
    first, second = tagged_numbers(whole, 0x08), tagged_numbers(part * 1000, 0x10)
    first[1][whole == 0], second[1][part == 0] = 0, 0
    return ragged(np.hstack([first[0], second[0]]), np.hstack([within(*first), within(*second)]))


def decode_timestamps(stored: "pa.BinaryArray") -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
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
        parts[which[going], going] |= (digits & np.uint64(0x7F)) << np.minimum(shift[going], np.uint64(63))
        shift[going] += np.uint64(7)
        inside[going] = digits >= 0x80
    whole, nanos = parts.view(np.int64)
    sound &= ~inside & (np.abs(whole) <= LARGEST_SECONDS)
    return np.where(sound, whole, 0) * MICROS + nanos // 1000, sound


def epoch_micros(column: "pa.Array") -> npt.NDArray[np.int64]:
    """Microseconds since 1970 of every row; what is finer is cut off."""
    column = one_array(column)
    if column.null_count or not pa.types.is_temporal(column.type):
        raise DataError(f"expected an event timestamp in every row, got {column.type} with {column.null_count} null(s)")
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        return numbers(column.cast(pa.int64())) // 1000
    return numbers(column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None))).cast(pa.int64()))


def seconds(column: "pa.Array") -> "pa.Array":
    """Whole seconds since 1970, downwards."""
    per_second = SECONDS_PER_UNIT[column.type.unit] if pa.types.is_timestamp(column.type) else 1
    whole = numbers(pc.fill_null(column.cast(pa.int64()), 0)) // per_second
    return pc.if_else(column.is_valid(), pa.array(whole), None)


def tagged_floats(column: "pa.Array", tag: bytes, layout: str, null: bytes) -> "pa.BinaryArray":
    floats = numbers(pc.fill_null(column, 0.0)).astype(layout)
    matrix = np.empty((len(floats), 1 + floats.itemsize), np.uint8)
    matrix[:, 0] = tag[0]
    matrix[:, 1:] = floats.view(np.uint8).reshape(len(floats), floats.itemsize)
    return with_nulls(fixed_width(matrix), column, null)


def tagged_varints(column: "pa.Array", whole: "pa.Array", tag: bytes, null: bytes) -> "pa.BinaryArray":
    found = tagged_numbers(numbers(pc.fill_null(whole, 0)).astype(np.int64), tag[0])
    return with_nulls(ragged(found[0], within(*found)), column, null)


def tagged_bytes(column: "pa.Array", tag: bytes, null: bytes) -> "pa.BinaryArray":
    text = pc.fill_null(column, b"")
    matrix, count = tagged_numbers(lengths(text), tag[0])
    return with_nulls(joined([ragged(matrix, within(matrix, count)), text], len(text)), column, null)


def with_nulls(encoded: "pa.BinaryArray", column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    if not column.null_count:
        return encoded
    return pc.if_else(column.is_valid(), encoded, pa.scalar(null, pa.binary()))


def tagged_numbers(values: npt.NDArray[np.int64], tag: int) -> tuple[Bytes, npt.NDArray[np.intp]]:
    """A tag and a varint in every row, padded to the longest, and how many bytes of each row count."""
    rest = values.astype(np.int64).view(np.uint64)
    width = max(1, -(-int(rest.max(initial=0)).bit_length() // 7))
    matrix = np.empty((len(rest), 1 + width), np.uint8)
    count = np.full(len(rest), 2, np.intp)
    matrix[:, 0] = tag
    for place in range(1, 1 + width):
        part = rest & np.uint64(0x7F)
        rest = rest >> np.uint64(7)
        more = rest > 0
        matrix[:, place] = part | (more.astype(np.uint64) << np.uint64(7))
        count += more
    return matrix, count


def within(matrix: Bytes, count: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    return np.arange(matrix.shape[1]) < count[:, None]


def ragged(matrix: Bytes, keep: npt.NDArray[np.bool_]) -> "pa.BinaryArray":
    """The kept bytes of every row."""
    offsets = np.zeros(len(matrix) + 1, np.int32)
    np.cumsum(keep.sum(axis=1), out=offsets[1:])
    return pa.Array.from_buffers(
        pa.binary(), len(matrix), [None, pa.py_buffer(offsets), pa.py_buffer(matrix[keep].tobytes())]
    )


def fixed_width(matrix: npt.NDArray[Any]) -> "pa.BinaryArray":
    """All bytes of every row."""
    width = matrix.nbytes // len(matrix) if len(matrix) else 0
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * np.int32(width)
    return pa.Array.from_buffers(
        pa.binary(), len(matrix), [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(matrix).tobytes())]
    )


def joined(pieces: Sequence[Any], rows: int) -> "pa.BinaryArray":
    """Row by row, one after the other: arrays, and bytes that are the same in every row."""
    if rows == 0:
        return pa.array([], pa.binary())
    columns = [pa.scalar(piece, pa.binary()) if isinstance(piece, bytes) else piece for piece in pieces]
    return pc.binary_join_element_wise(*columns, pa.scalar(b"", pa.binary()))


def as_binary(column: "pa.Array", dtype: str) -> "pa.Array":
    """Text as UTF-8, or bytes as they are; what is neither is left to Feast."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kinds = {
        "string": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null),
        "bytes": (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_null),
    }
    if not any(is_kind(column.type) for is_kind in kinds[dtype]):
        raise pa.ArrowInvalid(f"expected {dtype}")
    return column.cast(pa.binary())


def content(column: "pa.BinaryArray") -> memoryview:
    """The bytes of all rows, one after the other, without a copy."""
    if not len(column):
        return memoryview(b"")
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, np.int32)[[column.offset, column.offset + len(column)]]
    return memoryview(data)[int(ends[0]) : int(ends[1])]


def lengths(column: "pa.BinaryArray") -> npt.NDArray[np.int64]:
    return numbers(pc.binary_length(column)).astype(np.int64)


def numbers(column: "pa.Array") -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def one_array(column: Any) -> "pa.Array":
    """A column's chunks in one."""
    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column
