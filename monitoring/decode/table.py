"""Rows of one service and one bundle as an Arrow table: the schema of the inference log.

request_id, row, service, bundle, model_version, served_by, request_time, latency,
prediction, probabilities, overridden, overrides, not_found, unseen, imputed,
error_code, error_message, run_id
key_<join key>          as the request gave it
request_<field>         as the request gave it; null where it gave none, before the default
online_<field>          as it was looked up, before an override; null where it did not count
status_<view>           PRESENT, NOT_FOUND or OUTSIDE_MAX_AGE
event_time_<view>       of the looked-up record
computed_<output>       what the on-demand functions made of the row
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from monitoring.decode.personal import Personal
from potluck.contract.features import FeatureContract
from potluck.contract.fields import DType
from potluck.inference_log.rows import LoggedRow
from potluck.scoring.functions import run_function
from potluck.scoring.lookups import LookedUp, LookupReader
from potluck.scoring.rows import RowBuilder

MOMENT = pa.timestamp("us", tz="UTC")
ARROW: dict[DType, pa.DataType] = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
}
NAMES = pa.list_(pa.string())
NO_LOOKUP = LookedUp({}, {}, {})


class TableMaker:
    """Makes tables; a column is added by name, type and values."""

    def __init__(self, rows: Sequence[LoggedRow], personal: Personal) -> None:
        self.rows, self.personal = rows, personal
        self.names: list[str] = []
        self.columns: list[pa.Array] = []

    def add(self, name: str, kind: pa.DataType, values: Iterable[Any]) -> None:
        """Add a column that holds no field's values."""
        self.names.append(name)
        self.columns.append(pa.array(list(values), kind))

    def add_field(self, prefix: str, field: str, dtype: DType, values: Sequence[Any]) -> None:
        """Add a column of a field's values, as far as they may be kept."""
        if not self.personal.keeps(field):
            return
        kind = pa.string() if field in self.personal.hashed else ARROW[dtype]
        self.add(f"{prefix}_{field}", kind, self.personal.column(field, values))

    def of_rows(self, value: Callable[[LoggedRow], Any]) -> list[Any]:
        """Return something of each row."""
        return [value(row) for row in self.rows]

    def table(self) -> pa.Table:
        return pa.table(self.columns, names=self.names)


def prediction_table(
    rows: Sequence[LoggedRow], builder: RowBuilder, lookups: LookupReader, personal: Personal
) -> pa.Table:
    """Return the table of rows that one bundle answered.

    Args:
        builder: of that bundle.
        lookups: of the same bundle.
    """
    contract = builder.contract
    maker = TableMaker(rows, personal)
    found = [looked_up(row, lookups) for row in rows]
    add_answers(maker, prediction_type(contract))
    add_notes(maker, contract)
    for field in contract.keys:
        maker.add_field("key", field.name, field.dtype, sent(rows, field.name))
    for field in contract.request:
        maker.add_field("request", field.name, field.dtype, sent(rows, field.name))
    for field in contract.online:
        values = [each.values.get(field.name) for each in found]
        maker.add_field("online", field.name, field.dtype, values)
    for view in contract.views:
        statuses = [each.statuses.get(view.name) for each in found]
        maker.add(f"status_{view.name}", pa.string(), statuses)
        moments = [each.event_times.get(view.name) for each in found]
        maker.add(f"event_time_{view.name}", MOMENT, map(moment_or_none, moments))
    computed = computed_columns(rows, found, builder)
    for function in contract.functions:
        for field in function.outputs:
            maker.add_field("computed", field.name, field.dtype, computed[field.name])
    return maker.table()


def lookup_table(rows: Sequence[LoggedRow], personal: Personal) -> pa.Table:
    """Return the table of rows that a precomputed service answered."""
    maker = TableMaker(rows, personal)
    predictions = maker.of_rows(lambda row: row.prediction)
    add_answers(maker, type_of_all(predictions))
    add_notes(maker, None)
    names = dict.fromkeys(name for row in rows for name in row.record or ())
    for name in names:
        values = sent(rows, name)
        dtype: DType = "string" if any(isinstance(value, str) for value in values) else "int64"
        maker.add_field("key", name, dtype, values)
    return maker.table()


def add_answers(maker: TableMaker, prediction: pa.DataType) -> None:
    """Add what every row has: who asked, who answered, and what."""
    maker.add("request_id", pa.string(), maker.of_rows(lambda row: row.request_id))
    maker.add("row", pa.int32(), maker.of_rows(lambda row: row.row))
    maker.add("service", pa.string(), maker.of_rows(lambda row: row.service))
    maker.add("bundle", pa.string(), maker.of_rows(lambda row: row.bundle))
    maker.add("model_version", pa.string(), maker.of_rows(lambda row: row.model_version))
    maker.add("served_by", pa.string(), maker.of_rows(lambda row: row.served_by))
    maker.add("request_time", MOMENT, maker.of_rows(lambda row: moment(row.request_time)))
    maker.add("looked_up_at", MOMENT, maker.of_rows(lambda row: moment_or_none(row.looked_up_at)))
    maker.add("latency", pa.float64(), maker.of_rows(lambda row: row.latency))
    maker.add("prediction", prediction, maker.of_rows(lambda row: row.prediction))
    shares = maker.of_rows(lambda row: [*row.probabilities.items()] if row.probabilities else None)
    maker.add("probabilities", pa.map_(pa.string(), pa.float64()), shares)
    maker.add("run_id", pa.string(), maker.of_rows(lambda row: row.run_id))
    maker.add("error_code", pa.string(), maker.of_rows(lambda row: row.error_code))
    maker.add("error_message", pa.string(), maker.of_rows(lambda row: row.error_message))


def add_notes(maker: TableMaker, contract: FeatureContract | None) -> None:
    """Add what is worth a note about a row."""
    maker.add("overridden", NAMES, maker.of_rows(lambda row: list(row.overridden)))
    online = {field.name for field in contract.online} if contract else set()
    maker.add(
        "overrides", pa.string(), [overrides(row, online, maker.personal) for row in maker.rows]
    )
    maker.add("not_found", NAMES, maker.of_rows(lambda row: list(row.not_found)))
    for mark in ("unseen", "imputed"):
        maker.add(mark, NAMES, [marked(row, mark) for row in maker.rows])


def overrides(row: LoggedRow, online: set[str], personal: Personal) -> str | None:
    """Return the looked-up fields that the request brought itself, as JSON; None without any."""
    record = row.record or {}
    values = {}
    for name in online & record.keys():
        value = record[name]
        if value is not None and personal.keeps(name):
            values[name] = personal.digest(value) if name in personal.hashed else value
    return json.dumps(values) if values else None


def marked(row: LoggedRow, mark: str) -> list[str]:
    return [column for kind, column in row.marks if kind == mark]


def sent(rows: Sequence[LoggedRow], field: str) -> list[Any]:
    """Return the values that the requests brought of a field."""
    return [row.record.get(field) if row.record else None for row in rows]


def looked_up(row: LoggedRow, lookups: LookupReader) -> LookedUp:
    if not row.replies or row.looked_up_at is None:
        return NO_LOOKUP
    return lookups.read(row.replies, row.looked_up_at)


def computed_columns(
    rows: Sequence[LoggedRow], found: Sequence[LookedUp], builder: RowBuilder
) -> dict[str, list[Any]]:
    """Run the on-demand functions again on what the rows were answered with.

    Returns:
        Output -> a value for each row; None where the row was answered with an error.
    """
    outputs = [field.name for each in builder.contract.functions for field in each.outputs]
    columns: dict[str, list[Any]] = {name: [None] * len(rows) for name in outputs}
    answered = [place for place, row in enumerate(rows) if row.error_code is None]
    if not outputs or not answered:
        return columns
    values = outputs_of([rows[p] for p in answered], [found[p] for p in answered], builder)
    for name, column in values.items():
        for place, value in zip(answered, column, strict=True):
            columns[name][place] = value
    return columns


def outputs_of(
    rows: Sequence[LoggedRow], found: Sequence[LookedUp], builder: RowBuilder
) -> dict[str, Sequence[Any]]:
    """Return the on-demand functions' outputs; the rows were all answered."""
    times = [moment(row.request_time) for row in rows]
    known = dict(builder.with_defaults(model_inputs(rows, found, builder.contract), times))
    made: dict[str, Sequence[Any]] = {}
    for declared, code in builder.functions:
        # The server answered these rows with the same function, so a failure is no row's fault.
        made.update(run_function(declared, code, known, len(rows)))
    return made


def model_inputs(
    rows: Sequence[LoggedRow], found: Sequence[LookedUp], contract: FeatureContract
) -> dict[str, list[Any]]:
    """Return what went into the functions and the model: a sequence for each input."""
    inputs = {field.name: sent(rows, field.name) for field in contract.request}
    for field in contract.online:
        brought = sent(rows, field.name)
        stored = [each.values.get(field.name) for each in found]
        inputs[field.name] = [
            mine if mine is not None else theirs
            for mine, theirs in zip(brought, stored, strict=True)
        ]
    return inputs


def prediction_type(contract: FeatureContract) -> pa.DataType:
    """Return the type of a service's answers: the classes' own, or a number."""
    return type_of_all(contract.classes) if contract.classes else pa.float64()


def type_of_all(values: Sequence[Any]) -> pa.DataType:
    """Return the type of some predictions; a number where there are none."""
    found = {type(value) for value in values if value is not None}
    if found == {bool}:
        return pa.bool_()
    if found == {int}:
        return pa.int64()
    return pa.string() if str in found else pa.float64()


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)
