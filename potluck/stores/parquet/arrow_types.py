"""Declared types as Arrow holds them, and columns brought into them."""

import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.errors import DataError
from potluck.contract.fields import Field

ARROW_TYPES = {
    "int64": pa.int64(),
    "int32": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
}


def cast(column: pa.ChunkedArray, field: Field, owner: str) -> pa.ChunkedArray:
    """A column in its field's declared type; NaN becomes null.

    Raises:
        DataError: it holds what the declared type can't.
    """
    try:
        values = column.cast(ARROW_TYPES[field.dtype])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"{owner}.{field.name} is declared {field.dtype}, but holds another type: {error}"
        ) from None
    if field.dtype == "float64":
        return pc.if_else(pc.is_nan(values), None, values)
    return values
