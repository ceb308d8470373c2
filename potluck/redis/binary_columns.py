"""Arrow columns of bytes, made and taken apart with numpy: what every encoder here is built of."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]


def tagged_numbers(values: npt.NDArray[np.int64], tag: int) -> tuple[Bytes, npt.NDArray[np.intp]]:
    """A tag and a varint in every row, padded to the longest, and how many bytes of each row
    count."""
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
        pa.binary(),
        len(matrix),
        [None, pa.py_buffer(offsets), pa.py_buffer(matrix[keep].tobytes())],
    )


def fixed_width(matrix: npt.NDArray[Any]) -> "pa.BinaryArray":
    """All bytes of every row."""
    width = matrix.nbytes // len(matrix) if len(matrix) else 0
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * np.int32(width)
    return pa.Array.from_buffers(
        pa.binary(),
        len(matrix),
        [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(matrix).tobytes())],
    )


def joined(pieces: Sequence[Any], rows: int) -> "pa.BinaryArray":
    """Row by row, one after the other: arrays, and bytes that are the same in every row."""
    if rows == 0:
        return pa.array([], pa.binary())
    columns = [
        pa.scalar(piece, pa.binary()) if isinstance(piece, bytes) else piece for piece in pieces
    ]
    return pc.binary_join_element_wise(*columns, pa.scalar(b"", pa.binary()))


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
