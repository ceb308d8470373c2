"""On-demand outputs: what was computed, beside today's functions on the offline values."""

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.replay.inputs import LoggedDict
from monitoring.skew.definitions import Changes
from monitoring.skew.logged import LoggedColumns, logged_value
from monitoring.skew.online_values import NOT_KEPT, Cell
from monitoring.skew.report import FeatureTally, example_of
from monitoring.skew.verdicts import (
    CHANGED,
    EQUAL,
    VERDICTS,
    SeenValue,
    missing_as_none,
    verdict_of,
)
from potluck.contract.features import OnDemandFunction
from potluck.contract.fields import Field

NO_INPUT = "one of its inputs was left out"

Cells = Mapping[str, Sequence[Cell]]
"""Looked-up feature -> what was found of it in each row."""


class OutputComparison:
    """Compares the on-demand outputs of one bundle."""

    def __init__(self, columns: LoggedColumns, changes: Changes) -> None:
        self.columns, self.changes = columns, changes

    def compare(
        self,
        rows: Sequence[LoggedDict],
        output: Field,
        made: Sequence[Any],
        causes: Sequence[Cell],
        tally: FeatureTally,
    ) -> None:
        """Compare one output in each row.

        Args:
            made: today's values.
            causes: what the function's inputs show in each row.
        """
        if not self.columns.holds("computed", output.name):
            tally.left_out[NOT_KEPT] += len(rows)
            return
        is_changed = output.name in self.changes.outputs
        # Once per row and output: a hot loop.
        for row, value, cause in zip(rows, made, causes, strict=True):
            if cause is None:
                tally.left_out[NO_INPUT] += 1
                continue
            served = output_value(logged_value(row, "computed", output))
            offline = output_value(value)
            verdict = verdict_of(served, offline, is_changed=is_changed, is_late=False)
            if verdict not in (EQUAL, CHANGED) and cause != EQUAL:
                verdict = cause
            if tally.add(verdict):
                tally.examples.append(example_of(row, verdict, served, offline))

    def causes_of(
        self, rows: Sequence[LoggedDict], function: OnDemandFunction, cells: Cells
    ) -> list[Cell]:
        """Return for each row the first cause, in the order of `VERDICTS`, that an input shows."""
        causes: list[Cell] = []
        for place, row in enumerate(rows):
            found = {self.cause_of(row, name, cells, place) for name in function.inputs}
            causes.append(first_cause(found))
        return causes

    def cause_of(self, row: LoggedDict, name: str, cells: Cells, place: int) -> Cell:
        """Return how one input of a function differs in a row; None where that is not known."""
        prefix = "request"
        if name in cells:
            prefix = "online"
        if not self.columns.holds(prefix, name):
            return None
        if name in row["overridden"]:
            return EQUAL  # both sides take the request's value
        if name in cells:
            return cells[name][place]
        if row[f"request_{name}"] is None and name in self.changes.fields:
            return CHANGED  # of its default
        return EQUAL


def output_value(value: Any) -> SeenValue:
    """Return an output; it has no default."""
    plain = missing_as_none(value)
    return SeenValue(plain, plain)


def first_cause(found: set[Cell]) -> Cell:
    """Return the first cause that some inputs show; None where one was left out."""
    if None in found:
        return None
    for each in VERDICTS:
        if each != EQUAL and each in found:
            return each
    return EQUAL
