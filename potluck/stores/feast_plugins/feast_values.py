"""Feast's own conversion of values, for types that `potluck.redis.feast_bytes` leaves to it."""

import pyarrow as pa
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType

from potluck.contract.errors import DataError


def encode_by_feast(column: "pa.Array", dtype: str, null: bytes) -> "pa.BinaryArray":
    """Encode a column value by value, as `feast materialize` does.

    Args:
        dtype: a `feast.ValueType` in lower case.
        null: what stands for a null.

    Raises:
        DataError: Feast has no such type, or refuses the values.
    """
    values = column.to_numpy(zero_copy_only=False)
    try:
        messages = python_values_to_proto_values(values, ValueType[dtype.upper()])
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
        raise DataError(f"Feast can't store {column.type} as {dtype}: {told}") from error
    return pa.array([message.SerializeToString() or null for message in messages], pa.binary())
