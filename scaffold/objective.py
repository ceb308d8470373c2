"""What kind of label it is, and how a model learns it."""

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc

from potluck.contract.errors import DataError, UsageError
from potluck.contract.features import Objective, Transform
from scaffold.table import ColumnProfile
from scaffold.wishes import Asking, Wishes

MOST_CLASSES = 200
FEW_INTEGERS = 10  # different ones, to be classes rather than an amount
RARE = 10  # rows of a class
SKEWED = 1.0
SHOWN = 5


def choose_objective(
    label: ColumnProfile, wishes: Wishes, ask: Asking, notes: list[str]
) -> Objective:
    """Regression, two classes, or more.

    Raises:
        UsageError: what somebody wished does not fit the label.
        DataError: no model can learn it.
    """
    if label.distinct < 2:
        only = label.values.drop_null()[0].as_py()
        raise DataError(
            f"--label: {label.header} is always {only!r}; expected at least two different values"
        )
    objective = wishes.objective or likely_objective(label, ask, notes)
    if objective == "regression" and label.dtype not in ("int64", "float64"):
        raise UsageError(
            f"--objective regression needs numbers; {label.header} holds {label.dtype}"
        )
    if objective == "binary" and label.distinct != 2:
        raise UsageError(
            f"--objective binary needs two classes; {label.header} holds {label.distinct}"
        )
    if objective != "regression" and label.distinct > MOST_CLASSES:
        raise DataError(
            f"--label: {label.header} holds {label.distinct} different texts; expected at most {MOST_CLASSES} classes"
        )
    return objective


def likely_objective(label: ColumnProfile, ask: Asking, notes: list[str]) -> Objective:
    if label.distinct == 2:
        return "binary"
    if label.dtype not in ("int64", "float64"):
        return "multiclass"
    if label.dtype == "float64" or label.distinct > MOST_CLASSES:
        return "regression"
    likely: Objective = "multiclass" if label.distinct <= FEW_INTEGERS else "regression"
    question = (
        f"{label.header} holds {label.distinct} different integers: are they classes, or an amount?"
    )
    answer = ask("--objective", question, ("multiclass", "regression"), likely)
    other = "regression" if answer == "multiclass" else "multiclass"
    told = "classes" if answer == "multiclass" else "an amount"
    notes.append(
        f"{label.name} holds {label.distinct} different integers, taken for {told}; --objective {other} if not"
    )
    return "multiclass" if answer == "multiclass" else "regression"


def declare_label(label: ColumnProfile, objective: Objective) -> ColumnProfile:
    """The label in the type that goes with its objective: amounts are floats, and no class is."""
    if objective == "regression":
        return redeclare(label, "float64")
    return redeclare(label, "string") if label.dtype == "float64" else label


def redeclare(profile: ColumnProfile, dtype: str) -> ColumnProfile:
    """A column declared otherwise."""
    column = replace(profile.column, dtype=dtype)  # type: ignore[arg-type]
    return replace(profile, declared=(column,), values=profile.values.cast(column.arrow_type))


def choose_transform(label: ColumnProfile, objective: Objective, notes: list[str]) -> Transform:
    """The logarithm, where amounts above zero spread over magnitudes."""
    if objective != "regression":
        return "identity"
    numbers = label.values.drop_null().to_numpy()
    if numbers.min() <= 0 or skewness(numbers) < SKEWED:
        return "identity"
    if abs(skewness(np.log(numbers))) > abs(skewness(numbers)):
        return "identity"
    notes.append(
        f"{label.name} is above zero and skewed, so it is learned as its logarithm (the tag transform); "
        "a label of zero or less would then be refused"
    )
    return "log"


def skewness(numbers: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    spread = float(numbers.std())
    return float((((numbers - numbers.mean()) / spread) ** 3).mean()) if spread else 0.0


def class_notes(label: ColumnProfile, objective: Objective) -> list[str]:
    """A word on classes that have few rows."""
    if objective == "regression":
        return []
    counted = pc.value_counts(label.values.drop_null().combine_chunks()).to_pylist()
    rare = sorted(
        (each["counts"], str(each["values"])) for each in counted if each["counts"] < RARE
    )
    if not rare:
        return []
    shown = ", ".join(f"{name} {count}" for count, name in rare[:SHOWN])
    more = ", …" if len(rare) > SHOWN else ""
    return [
        f"{len(rare)} of {len(counted)} classes have fewer than {RARE} rows ({shown}{more}): expect little of them"
    ]
