"""Decide what kind of label it is, and how a model learns it."""

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc

from potluck.contract.errors import DataError, UsageError
from potluck.contract.features import Objective, Transform
from scaffold.profile import ColumnProfile
from scaffold.wishes import Asking, Wishes

MOST_CLASSES = 200
FEW_INTEGERS = 10  # different ones, to be classes rather than an amount
RARE = 10  # rows of a class
SKEWED = 1.0
SHOWN = 5
CLASSES_OR_AMOUNT = ("multiclass", "regression")


def choose_objective(
    label: ColumnProfile, wishes: Wishes, ask: Asking, notes: list[str]
) -> Objective:
    """Choose between regression, two classes, and more classes.

    Raises:
        UsageError: the wished objective does not fit the label.
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
            f"--label: {label.header} holds {label.distinct} different texts; "
            f"expected at most {MOST_CLASSES} classes"
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
    are_classes = ask("--objective", question, CLASSES_OR_AMOUNT, likely) == "multiclass"
    told = "classes; --objective regression" if are_classes else "an amount; --objective multiclass"
    notes.append(f"{label.name} holds {label.distinct} different integers, taken for {told} if not")
    return "multiclass" if are_classes else "regression"


def declare_label(label: ColumnProfile, objective: Objective) -> ColumnProfile:
    """Declare the label with the type of its objective: amounts are floats, and classes are not."""
    if objective == "regression":
        return redeclare(label, "float64")
    if label.dtype == "float64":
        return redeclare(label, "string")
    return label


def redeclare(profile: ColumnProfile, dtype: str) -> ColumnProfile:
    """Declare a column with another type, and cast its values."""
    column = replace(profile.column, dtype=dtype)  # type: ignore[arg-type]
    return replace(profile, declared=(column,), values=profile.values.cast(column.arrow_type))


def choose_transform(label: ColumnProfile, objective: Objective, notes: list[str]) -> Transform:
    """Choose the logarithm where amounts are above zero and skewed."""
    if objective != "regression":
        return "identity"
    numbers = label.values.drop_null().to_numpy()
    if numbers.min() <= 0 or skewness(numbers) < SKEWED:
        return "identity"
    if abs(skewness(np.log(numbers))) > abs(skewness(numbers)):
        return "identity"
    notes.append(
        f"{label.name} is above zero and skewed, so it is learned as its logarithm "
        "(the tag transform); a label of zero or less would then be refused"
    )
    return "log"


def skewness(numbers: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    deviation = float(numbers.std())
    if not deviation:
        return 0.0
    return float((((numbers - numbers.mean()) / deviation) ** 3).mean())


def class_notes(label: ColumnProfile, objective: Objective) -> list[str]:
    """Note which classes have few rows."""
    if objective == "regression":
        return []
    counted = pc.value_counts(label.values.drop_null().combine_chunks()).to_pylist()
    counts = sorted((each["counts"], str(each["values"])) for each in counted)
    rare = [f"{name} {count}" for count, name in counts if count < RARE]
    if not rare:
        return []
    shown = ", ".join(rare[:SHOWN])
    more = ", …" if len(rare) > SHOWN else ""
    told = f"{len(rare)} of {len(counted)} classes have fewer than {RARE} rows ({shown}{more})"
    return [f"{told}: expect little of them"]
