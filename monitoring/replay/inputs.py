"""A logged row as the inputs of a model, to the bit."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from monitoring.decode.personal import Personal
from potluck.contract.errors import DataError
from potluck.contract.features import FeatureContract
from potluck.contract.fields import DType, Field

PYTHON: dict[DType, Callable[[Any], Any]] = {
    "int64": int,
    "int32": int,
    "float64": float,
    "string": str,
    "bool": bool,
}
LoggedDict = dict[str, Any]
"""A row of the log by column name."""


def unkept_inputs(contract: FeatureContract, columns: set[str], personal: Personal) -> list[str]:
    """Return the inputs whose values the log does not hold.

    Args:
        columns: those of the log.
    """
    names = []
    for prefix, fields in (("request", contract.request), ("online", contract.online)):
        for field in fields:
            is_kept = personal.keeps(field.name) and field.name not in personal.hashed
            if not is_kept or f"{prefix}_{field.name}" not in columns:
                names.append(field.name)
    return names


def model_inputs(rows: Sequence[LoggedDict], contract: FeatureContract) -> dict[str, list[Any]]:
    """Return a sequence of values for each input of the contract; None is missing."""
    inputs = {field.name: column(rows, "request", field) for field in contract.request}
    overrides = [json.loads(row["overrides"]) if row.get("overrides") else {} for row in rows]
    for field in contract.online:
        stored = column(rows, "online", field)
        inputs[field.name] = [
            brought.get(field.name, value) for brought, value in zip(overrides, stored, strict=True)
        ]
    return inputs


def column(rows: Sequence[LoggedDict], prefix: str, field: Field) -> list[Any]:
    name = f"{prefix}_{field.name}"
    return [as_declared(row.get(name), field.dtype) for row in rows]


def as_declared(value: Any, dtype: DType) -> Any:
    """Return a value as the service knew it.

    A column whose type changed from one version to the next is read with a wider type.

    Raises:
        DataError: it is no such value; an earlier setting may have had it hashed.
    """
    if value is None or type(value) is PYTHON[dtype]:
        return value
    try:
        return value == "true" if dtype == "bool" else PYTHON[dtype](value)
    except ValueError:
        raise DataError(f"the log holds something else than a {dtype}") from None


def request_times(rows: Sequence[LoggedDict]) -> list[datetime]:
    """Return the time that each row's defaults stand for."""
    return [row["request_time"] for row in rows]
