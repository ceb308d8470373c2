"""The comparison of rows that one bundle answered, feature by feature."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from feast import FeatureStore

from monitoring.replay.inputs import LoggedDict, model_inputs, request_times
from monitoring.skew.definitions import find_changes
from monitoring.skew.logged import LoggedColumns, entity_rows, with_offline_values
from monitoring.skew.offline import OfflineView, read_offline
from monitoring.skew.online_values import Cell, OnlineComparison
from monitoring.skew.output_values import Cells, OutputComparison
from monitoring.skew.outputs import TodaysFunctions
from monitoring.skew.report import ServiceTally
from potluck.contract.features import FeatureContract, LookupView
from potluck.stores.definitions.feature_contract import Definition

Stored = dict[str, Sequence[Any]]
"""Looked-up feature -> its offline values."""


class Bundle(NamedTuple):
    """What is known of a bundle."""

    contract: FeatureContract
    functions_source: str


class BundleComparison:
    """Compares rows of one bundle with the offline store and today's registry."""

    def __init__(
        self, store: FeatureStore, bundle: Bundle, today: Definition, columns: LoggedColumns
    ) -> None:
        """
        Raises:
            BundleError: today's functions do not run.
        """
        self.store, self.contract, self.columns = store, bundle.contract, columns
        self.functions = TodaysFunctions(today)
        changes = find_changes(bundle.contract, bundle.functions_source, today)
        todays_fields = {field.name: field for field in today.contract.inputs}
        self.online = OnlineComparison(columns, changes, todays_fields)
        self.outputs = OutputComparison(columns, changes)

    def compare(self, rows: Sequence[LoggedDict], tally: ServiceTally) -> None:
        """Compare rows that were answered, and count what is found.

        Raises:
            DataError, MissingStepError: an offline source can't be read.
        """
        entities = entity_rows(rows, self.contract)
        cells: dict[str, list[Cell]] = {}
        stored: Stored = {}
        for view in self.contract.views:
            offline = read_offline(self.store, self.contract, view, entities)
            stored.update(offline.values)
            cells.update(self.compare_view(rows, view, offline, tally))
        if self.contract.functions:
            self.compare_outputs(rows, stored, cells, tally)

    def compare_view(
        self,
        rows: Sequence[LoggedDict],
        view: LookupView,
        offline: OfflineView,
        tally: ServiceTally,
    ) -> dict[str, list[Cell]]:
        """Compare the looked-up features of one view."""
        cells = {}
        for field in self.contract.online:
            if field.name in view.features:
                counted = tally.feature("online", field.name)
                cells[field.name] = self.online.compare(rows, field, view, offline, counted)
        return cells

    def compare_outputs(
        self, rows: Sequence[LoggedDict], stored: Stored, cells: Cells, tally: ServiceTally
    ) -> None:
        """Compare what the on-demand functions made."""
        offline = with_offline_values(rows, stored, self.columns)
        inputs = model_inputs(offline, self.contract)
        made = self.functions.outputs(inputs, request_times(rows))
        nothing = [None] * len(rows)
        for function in self.contract.functions:
            causes = self.outputs.causes_of(rows, function, cells)
            for output in function.outputs:
                counted = tally.feature("on-demand", output.name)
                # An output that no function makes any more counts as a changed definition.
                todays = made.get(output.name, nothing)
                self.outputs.compare(rows, output, todays, causes, counted)
