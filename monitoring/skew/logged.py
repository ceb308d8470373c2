"""The logged side: which columns can be compared, and what the rows say of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from monitoring.decode.personal import Personal
from monitoring.replay.inputs import LoggedDict, as_declared
from monitoring.skew.offline import DUE, MOMENT
from potluck.contract.features import FeatureContract
from potluck.contract.fields import Field
from potluck.stores.parquet.arrow_types import ARROW_TYPES

TEXT = "VARCHAR"

ColumnTypes = Mapping[str, str]
"""Column of the log -> DuckDB's name of its type."""


class LoggedColumns:
    """The columns of the log that hold the values of one contract as they were."""

    def __init__(self, personal: Personal, types: ColumnTypes, contract: FeatureContract) -> None:
        self.personal, self.contract = personal, contract
        outputs = [field for function in contract.functions for field in function.outputs]
        self.plain: set[str] = set()
        self.add("key", contract.keys, types)
        self.add("request", contract.request, types)
        self.add("online", contract.online, types)
        self.add("computed", outputs, types)

    def add(self, prefix: str, fields: Sequence[Field], types: ColumnTypes) -> None:
        """Add the fields that are kept, and not as hashes."""
        for field in fields:
            column = f"{prefix}_{field.name}"
            if column not in types or not self.personal.keeps(field.name):
                continue
            is_hashed = field.name in self.personal.hashed
            # A number in a column of text: some rows were hashed under earlier settings, or
            # another version declares the field a string.
            is_mixed = types[column] == TEXT and field.dtype != "string"
            if not is_hashed and not is_mixed:
                self.plain.add(column)

    def holds(self, prefix: str, field: str) -> bool:
        """Whether a field's values are kept as they were.

        Args:
            prefix: `key`, `request`, `online` or `computed`.
        """
        return f"{prefix}_{field}" in self.plain

    def holds_keys(self) -> bool:
        """Whether all join keys are kept."""
        return all(self.holds("key", field.name) for field in self.contract.keys)


def logged_value(row: LoggedDict, prefix: str, field: Field) -> Any:
    """Return what a row holds of a field, in its declared type."""
    return as_declared(row[f"{prefix}_{field.name}"], field.dtype)


def entity_rows(rows: Sequence[LoggedDict], contract: FeatureContract) -> pa.Table:
    """Return the keys of the rows, and the moments of their look-ups as `DUE`."""
    columns = {}
    for field in contract.keys:
        values = [logged_value(row, "key", field) for row in rows]
        columns[field.name] = pa.array(values, ARROW_TYPES[field.dtype])
    # Where the request brought every value, nothing was looked up.
    moments = [row["looked_up_at"] or row["request_time"] for row in rows]
    columns[DUE] = pa.array(moments, MOMENT)
    return pa.table(columns)


def with_offline_values(
    rows: Sequence[LoggedDict],
    stored: Mapping[str, Sequence[Any]],
    logged: LoggedColumns,
) -> list[LoggedDict]:
    """Return the rows as if they had looked up the offline values.

    A request field that is kept as a hash is missing in them: a hash is no value of its type.

    Args:
        stored: looked-up feature -> its offline values.
    """
    changed = [dict(row) for row in rows]
    for field in logged.contract.request:
        if not logged.holds("request", field.name):
            for row in changed:
                row[f"request_{field.name}"] = None
    for name, values in stored.items():
        for row, value in zip(changed, values, strict=True):
            row[f"online_{name}"] = value
    return changed
