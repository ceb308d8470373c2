"""How a served value and its offline counterpart compare."""

import math
from datetime import datetime
from typing import Any, Literal, NamedTuple

import numpy as np

from potluck.contract.fields import Field

Verdict = Literal["equal", "changed definition", "late data", "default", "type", "different"]
VERDICTS: tuple[Verdict, ...] = (
    "equal",
    "changed definition",
    "late data",
    "default",
    "type",
    "different",
)
"""In the order in which a cause is looked for; an output that is not equal takes the first one
that its inputs show."""
EQUAL: Verdict = "equal"
CHANGED: Verdict = "changed definition"


class SeenValue(NamedTuple):
    """One side of a comparison. A named tuple, as two are made for each value compared."""

    raw: Any
    """As the store holds it; None is missing."""
    filled: Any
    """As the model sees it: the default where the value is missing and has one."""

    @property
    def took_default(self) -> bool:
        return self.raw is None and self.filled is not None


def seen_value(raw: Any, field: Field, moment: datetime) -> SeenValue:
    """Return a value with its default.

    Args:
        field: says the default.
        moment: the request's time, of which a default may be a part.
    """
    value = missing_as_none(raw)
    if value is None:
        return SeenValue(None, field.default_at(moment))
    return SeenValue(value, value)


def verdict_of(
    served: SeenValue, offline: SeenValue, *, is_changed: bool, is_late: bool
) -> Verdict:
    """Compare the two sides of one row.

    Args:
        is_changed: the field is defined otherwise than when the model was trained.
        is_late: the offline record is dated later than the one that was looked up.
    """
    if is_same(served.raw, offline.raw) and is_same(served.filled, offline.filled):
        return "equal"
    if is_changed:
        return "changed definition"
    if is_late:
        return "late data"
    is_one_missing = (served.raw is None) != (offline.raw is None)
    if is_one_missing and (served.took_default or offline.took_default):
        return "default"
    if is_same_after_cast(served.raw, offline.raw):
        return "type"
    return "different"


def missing_as_none(value: Any) -> Any:
    """Return None for NaN, and any other value as it is."""
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are of one type and equal to the bit; missing ones are equal."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return bool(one.hex() == other.hex())  # `==` takes -0.0 for 0.0
    return bool(one == other)


def is_same_after_cast(one: Any, other: Any) -> bool:
    """Whether one of two values is the other one in another type."""
    if one is None or other is None:
        return False
    if isinstance(one, float) and isinstance(other, float):
        return as_float32(one) == other or as_float32(other) == one
    if isinstance(one, str) or isinstance(other, str):
        return type(one) is not type(other) and str(one) == str(other)
    if isinstance(one, bool) or isinstance(other, bool):
        return bool(one == other)
    return type(one) is not type(other) and whole(one) == whole(other)


def as_float32(value: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def whole(value: float) -> float:
    """Return a number without its fraction, as a cast to an integer does."""
    if not math.isfinite(value):
        return value
    return math.trunc(value)
