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


@dataclass(frozen=True)
class Field:
    """One value that a service takes, looks up or computes."""

    name: str
    dtype: DType
    source: FieldSource
    required: bool = False
    default: Literals | None = None

    def default_at(self, moment: datetime) -> Literals | None:
        """The default, with a part of the request's time filled in where it stands for one."""
        part = REQUEST_TIME.get(self.default) if isinstance(self.default, str) else None
        return self.default if part is None else int(getattr(moment, part))
