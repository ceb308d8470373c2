"""On-demand outputs, computed once more by today's functions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from potluck.contract.errors import DataError
from potluck.contract.features import OnDemandFunction
from potluck.scoring.functions import ColumnFunction, load_functions, run_function
from potluck.scoring.rows import with_default
from potluck.stores.definitions.feature_contract import Definition

Columns = Mapping[str, Sequence[Any]]


class TodaysFunctions:
    """The functions that are applied today."""

    def __init__(self, today: Definition) -> None:
        """
        Raises:
            BundleError: their text does not run.
        """
        self.contract = today.contract
        self.functions = load_functions(today.functions_source, today.contract)

    def outputs(self, inputs: Columns, times: Sequence[datetime]) -> dict[str, Sequence[Any]]:
        """Compute the outputs of rows.

        Args:
            inputs: those of the bundle; one that is new today counts as missing.
            times: the requests' times, for defaults.

        Returns:
            Output -> a value for each row; None also where the function failed.
        """
        known: dict[str, Sequence[Any]] = {}
        moments = set(times)
        for field in self.contract.inputs:
            column = inputs.get(field.name) or [None] * len(times)
            if field.default is not None:
                column = with_default(column, field, times, moments)
            known[field.name] = column
        made: dict[str, Sequence[Any]] = {}
        for declared, code in self.functions:
            made.update(run_where_it_runs(declared, code, known, len(times)))
        return made


def run_where_it_runs(
    declared: OnDemandFunction, code: ColumnFunction, inputs: Columns, rows: int
) -> dict[str, Sequence[Any]]:
    """Run a function; row by row where it fails, so that one row does not hide the others."""
    try:
        return run_function(declared, code, inputs, rows)
    except DataError:
        if rows == 1:
            return {field.name: [None] for field in declared.outputs}
    made: dict[str, list[Any]] = {field.name: [] for field in declared.outputs}
    for row in range(rows):
        alone = {name: [column[row]] for name, column in inputs.items()}
        for name, values in run_where_it_runs(declared, code, alone, 1).items():
            made[name] += values
    return dict(made)
