"""Arrow columns -> Feast's Redis bytes, a column at a time: what `potluck.contract.redis_format`
writes for one row.

Redis is quicker than Python's loops, so nothing here goes row by row. Feast's rarer value types
(lists, sets, maps, JSON) are left to the caller, who may have Feast's own conversion.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.errors import DataError
from potluck.contract.fields import Field
from potluck.contract.redis_format import (
    INT32_TYPE,
    INT64_TYPE,
    NULL,
    NULL_TIMESTAMP,
    STRING_TYPE,
    entity_key_head,
)
from potluck.redis.binary_columns import (
    fixed_width,
    joined,
    lengths,
    numbers,
    one_array,
    ragged,
    tagged_numbers,
    within,
)
from potluck.redis.feast_times import encode_timestamps, seconds

__all__ = ["KEY_TYPES", "encode_timestamps", "encode_values", "entity_keys", "typed_entity_keys"]

BYTES_TYPE, TIMESTAMP_TYPE = 1, 8

KEY_TYPES = {
    "string": STRING_TYPE,
    "bytes": BYTES_TYPE,
    "int32": INT32_TYPE,
    "int64": INT64_TYPE,
    "unix_timestamp": TIMESTAMP_TYPE,
}
"""Feast's types of a join key, by the names of contracts and of `feast.ValueType` in lower case."""

ALIASES = {"double": "float64", "float": "float32"}
FEASTS_NAMES = {name: alias for alias, name in ALIASES.items()}

Encode = Callable[["pa.Array", str, bytes], "pa.BinaryArray"]
"""A column, its type and what stands for a null -> the bytes of every row."""


def entity_keys(
    project: str, keys: Sequence[Field], table: "pa.Table | pa.RecordBatch"
) -> "pa.BinaryArray":
    """The Redis key of every row; the order of the join keys does not matter.

    Raises:
        DataError: a join key is null, or not of its declared type.
    """
    return typed_entity_keys(project, {key.name: key.dtype for key in keys}, table)


def typed_entity_keys(
    project: str, dtypes: dict[str, str], table: "pa.Table | pa.RecordBatch"
) -> "pa.BinaryArray":
    """`entity_keys` by the names and types of the join keys, which may be all that Feast allows
    (`KEY_TYPES`)."""
    names = sorted(dtypes)
    pieces: list[Any] = [entity_key_head(names)]
    for name in names:
        pieces += key_pieces(name, one_array(table.column(name)), dtypes[name])
    return joined([*pieces, project.encode()], table.num_rows)


def key_pieces(name: str, column: "pa.Array", dtype: str) -> list[Any]:
    """Type, length and value of a join key in every row."""
    if column.null_count:
        raise DataError(
            f"join key {name} is null in {column.null_count} row(s); expected a value in each"
        )
    if dtype not in KEY_TYPES:
        raise DataError(
            f"join key {name} is of type {dtype}; expected one of {', '.join(KEY_TYPES)}"
        )
    kind = struct.pack("<I", KEY_TYPES[dtype])
    try:
        if dtype in ("string", "bytes"):
            text = as_binary(column, dtype)
            return [kind, fixed_width(lengths(text).astype("<u4")), text]
        whole = seconds(column) if dtype == "unix_timestamp" else column.cast(getattr(pa, dtype)())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"join key {name} is declared {dtype}, but holds {column.type}: {error}"
        ) from None
    width = 4 if dtype == "int32" else 8
    return [kind + struct.pack("<I", width), fixed_width(numbers(whole).astype(f"<i{width}"))]


def refuse(column: "pa.Array", dtype: str, null: bytes) -> NoReturn:
    """Refuse what no encoder here takes.

    Raises:
        DataError: always.
    """
    raise DataError(f"can't store {column.type} as {dtype}; expected values of that type")


def encode_values(
    column: "pa.Array", dtype: str, null: bytes = NULL, *, otherwise: Encode = refuse
) -> "pa.BinaryArray":
    """Encode a column as Feast's serialized `Value` of every row.

    Args:
        column: values, of the declared type or of one that casts to it without loss.
        dtype: as in a contract, or a `feast.ValueType` in lower case.
        null: what stands for a null: Feast's explicit null, or no bytes at all, as `feast
            materialize` writes it.
        otherwise: what encodes types and values that no encoder here takes.

    Raises:
        DataError: `otherwise` does not take them either.
    """
    column, dtype = one_array(column), ALIASES.get(dtype, dtype)
    encoder = ENCODERS.get(dtype)
    if encoder is None:
        return otherwise(column, dtype, null)
    try:
        return encoder(column, null)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return otherwise(column, FEASTS_NAMES.get(dtype, dtype), null)


def encode_float64(column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    return tagged_floats(column.cast(pa.float64()), b"\x29", "<f8", null)


def encode_float32(column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    return tagged_floats(
        column.cast(pa.float32(), safe=pa.types.is_integer(column.type)), b"\x35", "<f4", null
    )


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


def tagged_floats(column: "pa.Array", tag: bytes, layout: str, null: bytes) -> "pa.BinaryArray":
    floats = numbers(pc.fill_null(column, 0.0)).astype(layout)
    matrix = np.empty((len(floats), 1 + floats.itemsize), np.uint8)
    matrix[:, 0] = tag[0]
    matrix[:, 1:] = floats.view(np.uint8).reshape(len(floats), floats.itemsize)
    return with_nulls(fixed_width(matrix), column, null)


def tagged_varints(
    column: "pa.Array", whole: "pa.Array", tag: bytes, null: bytes
) -> "pa.BinaryArray":
    found = tagged_numbers(numbers(pc.fill_null(whole, 0)).astype(np.int64), tag[0])
    return with_nulls(ragged(found[0], within(*found)), column, null)


def tagged_bytes(column: "pa.Array", tag: bytes, null: bytes) -> "pa.BinaryArray":
    text = pc.fill_null(column, b"")
    matrix, count = tagged_numbers(lengths(text), tag[0])
    return with_nulls(
        joined([ragged(matrix, within(matrix, count)), text], len(text)), column, null
    )


def with_nulls(encoded: "pa.BinaryArray", column: "pa.Array", null: bytes) -> "pa.BinaryArray":
    if not column.null_count:
        return encoded
    return pc.if_else(column.is_valid(), encoded, pa.scalar(null, pa.binary()))


def as_binary(column: "pa.Array", dtype: str) -> "pa.Array":
    """Text as UTF-8, or bytes as they are; what is neither is left to Feast."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kinds = {
        "string": (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_string_view,
            pa.types.is_null,
        ),
        "bytes": (
            pa.types.is_binary,
            pa.types.is_large_binary,
            pa.types.is_fixed_size_binary,
            pa.types.is_null,
        ),
    }
    if not any(is_kind(column.type) for is_kind in kinds[dtype]):
        raise pa.ArrowInvalid(f"expected {dtype}")
    return column.cast(pa.binary())
