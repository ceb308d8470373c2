"""The comparison of rows that one bundle answered, feature by feature."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
from feast import FeatureStore

from monitoring.decode.personal import Personal
from monitoring.replay.inputs import LoggedDict, as_declared, model_inputs, request_times
from monitoring.skew.definitions import find_changes
from monitoring.skew.offline import DUE, MOMENT, OfflineView, read_offline
from monitoring.skew.outputs import TodaysFunctions
from monitoring.skew.report import Example, FeatureTally, ServiceTally
from monitoring.skew.verdicts import (
    CHANGED,
    EQUAL,
    VERDICTS,
    SeenValue,
    Verdict,
    missing_as_none,
    seen_value,
    verdict_of,
)
from potluck.contract.features import FeatureContract, LookupView, OnDemandFunction
from potluck.contract.fields import Field
from potluck.stores.definitions.feature_contract import Definition
from potluck.stores.parquet.arrow_types import ARROW_TYPES

NO_RECORD = "the entity is not in the offline data"
NOT_KEPT = "the log does not keep the field"
NOT_LOOKED_UP = "nothing was looked up"
NO_INPUT = "one of its inputs was left out"

Cell = Verdict | None
"""Of one row and feature; None where it was left out."""


class Bundle(NamedTuple):
    """What is known of a bundle."""

    contract: FeatureContract
    functions_source: str


class BundleComparison:
    """Compares rows of one bundle with the offline store and today's registry."""

    def __init__(
        self,
        store: FeatureStore,
        bundle: Bundle,
        today: Definition,
        personal: Personal,
        columns: set[str],
    ) -> None:
        """
        Args:
            columns: those of the log.

        Raises:
            BundleError: today's functions do not run.
        """
        self.store, self.contract = store, bundle.contract
        self.personal, self.columns = personal, columns
        self.changes = find_changes(bundle.contract, bundle.functions_source, today)
        self.functions = TodaysFunctions(today)
        self.todays_fields = {field.name: field for field in today.contract.inputs}

    @property
    def keeps_keys(self) -> bool:
        """Whether the log holds the join keys as they came."""
        return all(self.is_kept("key", field.name) for field in self.contract.keys)

    def is_kept(self, prefix: str, name: str) -> bool:
        is_plain = self.personal.keeps(name) and name not in self.personal.hashed
        return is_plain and f"{prefix}_{name}" in self.columns

    def compare(self, rows: Sequence[LoggedDict], tally: ServiceTally) -> None:
        """Compare rows that were answered, and count what is found.

        Raises:
            DataError, MissingStepError: an offline source can't be read.
        """
        entities = entity_rows(rows, self.contract)
        cells: dict[str, list[Cell]] = {}
        stored: dict[str, Sequence[Any]] = {}
        for view in self.contract.views:
            offline = read_offline(self.store, self.contract, view, entities)
            stored.update(offline.values)
            for field in self.contract.online:
                if field.name in view.features:
                    counted = tally.feature("online", field.name)
                    cells[field.name] = self.compare_field(rows, field, view, offline, counted)
        self.compare_outputs(rows, stored, cells, tally)

    def compare_field(
        self,
        rows: Sequence[LoggedDict],
        field: Field,
        view: LookupView,
        offline: OfflineView,
        tally: FeatureTally,
    ) -> list[Cell]:
        """Compare one looked-up feature in each row."""
        reason = offline.unreadable.get(field.name)
        if not self.is_kept("online", field.name):
            reason = NOT_KEPT
        if reason is not None:
            tally.left_out[reason] += len(rows)
            return [None] * len(rows)
        cells: list[Cell] = []
        for row, value, recorded in zip(
            rows, offline.values[field.name], offline.event_times, strict=True
        ):
            reason = left_out_because(row, view, recorded)
            if reason is not None:
                tally.left_out[reason] += 1
                cells.append(None)
                continue
            example = self.compare_value(row, field, view, value, recorded)
            tally.add(example)
            cells.append(example.verdict)
        return cells

    def compare_value(
        self, row: LoggedDict, field: Field, view: LookupView, value: Any, recorded: datetime | None
    ) -> Example:
        """Compare one looked-up value."""
        logged = as_declared(row[f"online_{field.name}"], field.dtype)
        looked_up = row[f"event_time_{view.name}"]
        served = seen_value(logged, field, row["request_time"])
        declared = self.todays_fields.get(field.name, field)
        offline = seen_value(value, declared, row["request_time"])
        is_late = recorded is not None and (looked_up is None or recorded > looked_up)
        verdict = verdict_of(
            served, offline, is_changed=field.name in self.changes.fields, is_late=is_late
        )
        return example_of(row, verdict, served, offline, looked_up, recorded)

    def compare_outputs(
        self,
        rows: Sequence[LoggedDict],
        stored: dict[str, Sequence[Any]],
        cells: dict[str, list[Cell]],
        tally: ServiceTally,
    ) -> None:
        """Compare what the on-demand functions made.

        Args:
            stored: looked-up feature -> its offline values.
            cells: looked-up feature -> what was found of it in each row.
        """
        if not self.contract.functions:
            return
        inputs = model_inputs(with_offline_values(rows, stored), self.contract)
        made = self.functions.outputs(inputs, request_times(rows))
        for function in self.contract.functions:
            causes = self.causes_of(rows, function, cells)
            for output in function.outputs:
                counted = tally.feature("on-demand", output.name)
                self.compare_output(rows, output, made.get(output.name), causes, counted)

    def compare_output(
        self,
        rows: Sequence[LoggedDict],
        output: Field,
        made: Sequence[Any] | None,
        causes: Sequence[Cell],
        tally: FeatureTally,
    ) -> None:
        """Compare one output in each row.

        Args:
            made: today's values; None where no function makes the output any more.
            causes: what the function's inputs show in each row.
        """
        if not self.is_kept("computed", output.name):
            tally.left_out[NOT_KEPT] += len(rows)
            return
        is_changed = output.name in self.changes.outputs
        for place, (row, cause) in enumerate(zip(rows, causes, strict=True)):
            if cause is None:
                tally.left_out[NO_INPUT] += 1
                continue
            served = output_value(as_declared(row[f"computed_{output.name}"], output.dtype))
            offline = output_value(made[place] if made is not None else None)
            verdict = verdict_of(served, offline, is_changed=is_changed, is_late=False)
            if verdict not in (EQUAL, CHANGED) and cause != EQUAL:
                verdict = cause
            tally.add(example_of(row, verdict, served, offline, None, None))

    def causes_of(
        self,
        rows: Sequence[LoggedDict],
        function: OnDemandFunction,
        cells: dict[str, list[Cell]],
    ) -> list[Cell]:
        """Return for each row the first cause, in the order of `VERDICTS`, that an input shows."""
        causes: list[Cell] = []
        for place, row in enumerate(rows):
            found = [self.cause_of(row, name, cells, place) for name in function.inputs]
            causes.append(None if None in found else first_cause(found))
        return causes

    def cause_of(
        self, row: LoggedDict, name: str, cells: dict[str, list[Cell]], place: int
    ) -> Cell:
        """Return how one input of a function differs in a row; None where that is not known."""
        if name in row["overridden"]:
            return EQUAL
        if name in cells:
            return cells[name][place]
        if not self.is_kept("request", name):
            return None
        took_default = row[f"request_{name}"] is None
        return CHANGED if took_default and name in self.changes.fields else EQUAL


def entity_rows(rows: Sequence[LoggedDict], contract: FeatureContract) -> pa.Table:
    """Return the keys and moments of the look-ups."""
    columns = {}
    for field in contract.keys:
        values = [as_declared(row[f"key_{field.name}"], field.dtype) for row in rows]
        columns[field.name] = pa.array(values, ARROW_TYPES[field.dtype])
    moments = [row["looked_up_at"] or row["request_time"] for row in rows]
    columns[DUE] = pa.array(moments, MOMENT)
    return pa.table(columns)


def left_out_because(row: LoggedDict, view: LookupView, recorded: datetime | None) -> str | None:
    """Return why a row's values of a view can't be compared; None where they can."""
    status = row[f"status_{view.name}"]
    if status is None:
        return NOT_LOOKED_UP
    return NO_RECORD if recorded is None and status != "NOT_FOUND" else None


def with_offline_values(
    rows: Sequence[LoggedDict], stored: dict[str, Sequence[Any]]
) -> list[LoggedDict]:
    """Return the rows as if they had looked up the offline values."""
    changed = []
    for place, row in enumerate(rows):
        values = {f"online_{name}": column[place] for name, column in stored.items()}
        changed.append({**row, **values})
    return changed


def output_value(value: Any) -> SeenValue:
    """Return an output; it has no default."""
    plain = missing_as_none(value)
    return SeenValue(plain, plain)


def first_cause(found: Sequence[Cell]) -> Verdict:
    return next((each for each in VERDICTS if each != EQUAL and each in found), EQUAL)


def example_of(
    row: LoggedDict,
    verdict: Verdict,
    served: SeenValue,
    offline: SeenValue,
    looked_up: datetime | None,
    recorded: datetime | None,
) -> Example:
    return Example(
        row["request_id"],
        row["row"],
        verdict,
        served.filled,
        offline.filled,
        looked_up,
        recorded,
    )
