"""One rule with HTTP: the night publishes only what a request for the same row would be answered.

Reasons come in the order in which the server finds them: the request's fields, then the entity,
then what the store holds of it. Columns are looked at as a whole, never row by row.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from potluck.contract.features import FeatureContract
from potluck.contract.fields import LARGEST_OF, Field
from potluck.stores.parquet.population import ShardRows

UNKNOWN = "the feature store knows no such entity"
NO_REQUEST_VALUE = "required, and the population holds no value"
NO_STORED_VALUE = "required, and the feature store holds no value for this entity"

ArrowMask = Any
"""A pyarrow array of truth values, one a row."""


def refuses_unknown(contract: FeatureContract) -> bool:
    """Say whether an entity that no feature view knows gets no prediction.

    One view that says so is enough.
    """
    return any(view.unknown == "refuse" for view in contract.views)


def refusals(contract: FeatureContract, rows: ShardRows) -> pa.StringArray | None:
    """Say why HTTP would not answer a row.

    Returns:
        The reason of each row, null where HTTP would answer; None where it would answer all rows.
    """
    reasons = None
    for mask, reason in broken_rules(contract, rows):
        told = pc.if_else(mask, reason, pa.scalar(None, pa.string()))
        # The first reason stays: it is the one that HTTP would answer with.
        reasons = told if reasons is None else pc.coalesce(reasons, told)
    return reasons


def broken_rules(contract: FeatureContract, rows: ShardRows) -> Iterator[tuple[ArrowMask, str]]:
    """Yield every rule that some row breaks: which rows, and the reason."""
    for field in (*contract.keys, *contract.request):
        column = rows.batch.column(field.name)
        if lacks(field, column):
            yield column.is_null(), f"{field.name}: {NO_REQUEST_VALUE}"
        beyond = out_of_bounds(field, column)
        if pc.any(beyond).as_py():
            yield pc.fill_null(beyond, fill_value=False), f"{field.name}: {bounds_of(field)}"
    if refuses_unknown(contract) and pc.any(pc.invert(rows.known)).as_py():
        yield pc.invert(rows.known), UNKNOWN
    for field in contract.online:
        column = rows.batch.column(field.name)
        if lacks(field, column):
            yield column.is_null(), f"{field.name}: {NO_STORED_VALUE}"


def lacks(field: Field, column: pa.Array) -> bool:
    """Say whether a required field is missing somewhere, and no default stands in for it.

    0, false and "" are defaults.
    """
    return field.must_be_given and column.null_count > 0


def out_of_bounds(field: Field, column: pa.Array) -> ArrowMask:
    """Find the numbers that no request can carry.

    JSON knows no infinity, and a model does not tell larger integers apart.
    """
    if field.dtype == "float64":
        return pc.is_inf(column)
    if field.dtype in LARGEST_OF:
        return pc.greater(pc.abs(column), LARGEST_OF[field.dtype])
    return pa.repeat(pa.scalar(value=False), len(column))


def bounds_of(field: Field) -> str:
    limit = LARGEST_OF.get(field.dtype)
    if limit is None:
        return "expected a finite number"
    return f"expected a whole number within ±{limit}"
