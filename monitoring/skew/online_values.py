"""Looked-up features: what the online store gave, beside the offline store."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from monitoring.replay.inputs import LoggedDict
from monitoring.skew.definitions import Changes
from monitoring.skew.logged import LoggedColumns, logged_value
from monitoring.skew.offline import OfflineView
from monitoring.skew.report import FeatureTally, example_of
from monitoring.skew.verdicts import SeenValue, Verdict, seen_value, verdict_of
from potluck.contract.features import LookupView
from potluck.contract.fields import Field

NO_RECORD = "the entity is not in the offline data"
NOT_KEPT = "the log does not keep the field"
NOT_LOOKED_UP = "nothing was looked up"

Cell = Verdict | None
"""Of one row and feature; None where it was left out."""


class OnlineComparison:
    """Compares the looked-up features of one bundle."""

    def __init__(
        self, columns: LoggedColumns, changes: Changes, todays_fields: Mapping[str, Field]
    ) -> None:
        """
        Args:
            todays_fields: those of today's contract by name.
        """
        self.columns, self.changes = columns, changes
        self.todays_fields = todays_fields

    def compare(
        self,
        rows: Sequence[LoggedDict],
        field: Field,
        view: LookupView,
        offline: OfflineView,
        tally: FeatureTally,
    ) -> list[Cell]:
        """Compare one feature in each row."""
        unread = offline.unreadable.get(field.name)
        reason = unread if self.columns.holds("online", field.name) else NOT_KEPT
        if reason is not None:
            tally.left_out[reason] += len(rows)
            return [None] * len(rows)
        records = zip(offline.values[field.name], offline.event_times, strict=True)
        is_changed = field.name in self.changes.fields
        cells: list[Cell] = []
        # Once per row and feature: the hot loop of a run.
        for row, (value, recorded) in zip(rows, records, strict=True):
            reason = left_out_because(row, view, recorded)
            if reason is not None:
                tally.left_out[reason] += 1
                cells.append(None)
                continue
            looked_up: datetime | None = row[f"event_time_{view.name}"]
            served, offered = self.sides(row, field, value)
            is_late = recorded is not None and (looked_up is None or recorded > looked_up)
            verdict = verdict_of(served, offered, is_changed=is_changed, is_late=is_late)
            cells.append(verdict)
            if tally.add(verdict):
                times = looked_up, recorded
                tally.examples.append(example_of(row, verdict, served, offered, times))
        return cells

    def sides(self, row: LoggedDict, field: Field, value: Any) -> tuple[SeenValue, SeenValue]:
        """Return what the model saw, and what it would see today.

        Args:
            value: the offline one.
        """
        moment: datetime = row["request_time"]
        served = seen_value(logged_value(row, "online", field), field, moment)
        return served, seen_value(value, self.todays_fields.get(field.name, field), moment)


def left_out_because(row: LoggedDict, view: LookupView, recorded: datetime | None) -> str | None:
    """Return why a row's values of a view can't be compared; None where they can."""
    status = row[f"status_{view.name}"]
    if status is None:
        return NOT_LOOKED_UP
    if recorded is None and status != "NOT_FOUND":
        return NO_RECORD
    return None
