"""A field of a feature contract: its name, its type, where its value comes from."""

from datetime import datetime
from typing import Literal

from pydantic.dataclasses import dataclass

DType = Literal["int64", "int32", "float64", "string", "bool"]
FieldSource = Literal["key", "request", "online", "on-demand"]
Literals = bool | int | float | str

REQUEST_TIME = {f"request_time.{part}": part for part in ("year", "month", "day", "hour")}
"""Defaults that stand for a part of the request's time (UTC), which is an argument and never read
from the clock."""

LARGEST_INTEGER = 2**53
"""Beyond it a float64, and so the model and JSON, can't tell two integers apart."""
LARGEST_OF: dict[DType, int] = {"int64": LARGEST_INTEGER, "int32": 2**31 - 1}
"""The largest value, up and down, of the integer types."""


@dataclass(frozen=True)
class Field:
    """One value that a service takes, looks up or computes."""

    name: str
    dtype: DType
    source: FieldSource
    required: bool = False
    default: Literals | None = None

    @property
    def must_be_given(self) -> bool:
        """Whether a row can't do without its value: with a default, it can."""
        return self.required and self.default is None

    def default_at(self, moment: datetime) -> Literals | None:
        """The default, with a part of the request's time filled in where it stands for one."""
        part = REQUEST_TIME.get(self.default) if isinstance(self.default, str) else None
        return self.default if part is None else int(getattr(moment, part))
