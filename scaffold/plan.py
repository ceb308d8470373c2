"""What was decided: every column with its role and the reason, and what the services are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from potluck.contract.features import Objective, SplitKind, Transform
from scaffold.profile import ColumnProfile, ProfiledTable

Role = Literal["key", "time", "label", "request", "record", "left out"]

ROW_NUMBER = "row_id"


@dataclass(frozen=True)
class ColumnChoice:
    """What becomes of a column."""

    profile: ColumnProfile
    role: Role
    reason: str
    categorical: bool = False
    """A number that is a category."""

    @property
    def name(self) -> str:
        return self.profile.name


@dataclass(frozen=True)
class Key:
    """The key by which the store looks entities up."""

    name: str
    dtype: str
    header: str | None
    """None where the rows are numbered."""
    repeats: bool
    """Whether several rows share one key."""

    @property
    def entity(self) -> str:
        """The name of what has the key: `customer` for `customer_id`."""
        for ending in ("_id", "_ID", "Id", "ID", "id"):
            stem = self.name.removesuffix(ending).rstrip("_")
            if stem and stem != self.name:
                return stem
        return self.name


@dataclass(frozen=True)
class RepoPlan:
    """Everything that the written repo follows from."""

    name: str
    table: ProfiledTable
    choices: tuple[ColumnChoice, ...]
    """In the file's order."""
    key: Key
    objective: Objective
    transform: Transform
    label_dtype: str
    split: SplitKind
    identity: tuple[str, ...]
    """Columns that, with the date, say which observation it is."""
    notes: tuple[str, ...] = ()
    """Decisions beside the columns, with the flag that decides each in another way."""

    def of(self, role: Role) -> list[ColumnChoice]:
        return [choice for choice in self.choices if choice.role == role]

    @property
    def label(self) -> ColumnChoice:
        return self.of("label")[0]

    @property
    def time(self) -> ColumnChoice | None:
        return next(iter(self.of("time")), None)

    @property
    def services(self) -> tuple[str, str, str]:
        return f"{self.name}_realtime", f"{self.name}_hybrid", f"{self.name}_batch"


def as_document(plan: RepoPlan, folder: Path, files: Sequence[str]) -> dict[str, Any]:
    """Describe a plan as JSON."""
    table = plan.table
    data: dict[str, Any] = {"path": str(table.path), "rows": table.rows}
    if not table.is_parquet:
        data["delimiter"] = table.delimiter
        data["encoding"] = table.encoding
        data["decimal"] = table.notation.decimal
    return {
        "project": plan.name,
        "folder": str(folder),
        "files": list(files),
        "data": data,
        "services": list(plan.services),
        "objective": plan.objective,
        "transform": plan.transform,
        "split": plan.split,
        "key": plan.key.name,
        "columns": [column_document(choice) for choice in plan.choices],
        "notes": list(plan.notes),
    }


def column_document(choice: ColumnChoice) -> dict[str, Any]:
    profile = choice.profile
    return {
        "column": profile.header,
        "name": profile.name,
        "dtype": profile.dtype,
        "missing": profile.missing,
        "missing_marks": sorted(profile.marks - {""}),
        "distinct": profile.distinct,
        "role": choice.role,
        "reason": choice.reason,
    }
