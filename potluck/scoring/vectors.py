"""Columns of many rows without a Python object for each value; who asks for the values gets them
all the same.

The nightly run reads Arrow and scores numpy. Only an on-demand function wants lists, and only of
the columns that it asks for.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import numpy as np

from potluck.contract.fields import LARGEST_INTEGER, DType
from potluck.scoring.lightgbm_library import Matrix

PYTHON: dict[DType, Callable[[float], Any]] = {
    "int64": int,
    "int32": int,
    "float64": float,
    "bool": bool,
}


class Vector(Sequence[Any]):
    """A column: a sequence of Python values, None where one is missing."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.listed: list[Any] | None = None

    def values(self) -> list[Any]:
        raise NotImplementedError

    def filled(self, default: Any) -> Sequence[Any]:
        """With the default where a value is missing."""
        return [default if value is None else value for value in self]

    def __len__(self) -> int:
        return self.height

    def __iter__(self) -> Iterator[Any]:
        if self.listed is None:
            self.listed = self.values()
        return iter(self.listed)

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        return list(self)[place]


class NumberVector(Vector):
    """Numbers or truth values."""

    def __init__(self, numbers: Matrix, dtype: DType) -> None:
        """
        Args:
            numbers: float64, shape (rows,); NaN is missing.
            dtype: of the values that a function is given.
        """
        super().__init__(len(numbers))
        self.numbers, self.dtype, self.python = numbers, dtype, PYTHON[dtype]

    def values(self) -> list[Any]:
        missing = np.isnan(self.numbers)
        if self.python is float:
            listed: list[Any] = self.numbers.tolist()
        else:
            known = np.where(missing, 0.0, self.numbers)
            fits = (np.abs(known) <= LARGEST_INTEGER).all()
            listed = (
                known.astype(bool if self.python is bool else np.int64).tolist()
                if fits
                else [*map(self.python, known.tolist())]
            )
        for row in np.flatnonzero(missing).tolist():
            listed[row] = None
        return listed

    def labelled(self) -> "LabelVector":
        """The same with each different value once."""
        different, places = np.unique(self.numbers, return_inverse=True)
        known = different[~np.isnan(different)]
        return LabelVector(places, [self.python(number) for number in known.tolist()])

    def filled(self, default: Any) -> "NumberVector":
        return NumberVector(
            np.where(np.isnan(self.numbers), float(default), self.numbers), self.dtype
        )


class LabelVector(Vector):
    """Values out of a few: the place of each in a list of them."""

    def __init__(self, places: "np.ndarray[Any, np.dtype[np.intp]]", labels: Sequence[Any]) -> None:
        """
        Args:
            places: intp, shape (rows,); a missing one is `len(labels)`.
            labels: each value once.
        """
        super().__init__(len(places))
        self.places, self.labels = places, [*labels, None]

    def values(self) -> list[Any]:
        return list(map(self.labels.__getitem__, self.places.tolist()))

    def filled(self, default: Any) -> "LabelVector":
        filled = LabelVector(self.places, self.labels[:-1])
        filled.labels[-1] = default
        return filled
