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


class LoggedColumns:
    """The columns of the log that hold values as they were."""

    def __init__(self, personal: Personal, names: set[str]) -> None:
        """
        Args:
            names: the log's columns.
        """
        self.personal, self.names = personal, names

    def holds(self, prefix: str, field: str) -> bool:
        """Whether a field's values are kept, and not as hashes.

        Args:
            prefix: `key`, `request`, `online` or `computed`.
        """
        is_plain = self.personal.keeps(field) and field not in self.personal.hashed
        return is_plain and f"{prefix}_{field}" in self.names

    def holds_keys(self, contract: FeatureContract) -> bool:
        """Whether all join keys are kept."""
        return all(self.holds("key", field.name) for field in contract.keys)


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
    contract: FeatureContract,
    logged: LoggedColumns,
) -> list[LoggedDict]:
    """Return the rows as if they had looked up the offline values.

    A request field that is kept as a hash is missing in them: a hash is no value of its type.

    Args:
        stored: looked-up feature -> its offline values.
    """
    changed = [dict(row) for row in rows]
    for field in contract.request:
        if not logged.holds("request", field.name):
            for row in changed:
                row[f"request_{field.name}"] = None
    for name, values in stored.items():
        for row, value in zip(changed, values, strict=True):
            row[f"online_{name}"] = value
    return changed
