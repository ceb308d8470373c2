"""Values of one column as the trees take them, one at a time or many at once: the same numbers, the
same errors."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from potluck.contract.errors import DataError
from potluck.contract.features import Column
from potluck.scoring.lightgbm_library import Matrix
from potluck.scoring.vectors import LabelVector, NumberVector

PLAIN_NUMBERS = frozenset({int, float, bool, type(None)})
NUMBERS = (int, float, np.integer, np.floating, np.bool_, type(None))

Mark = Literal["unseen", "imputed"]


class Codes:
    """A categorical column: a category's code, NaN for a missing one and for one that training
    never saw."""

    mark: Mark = "unseen"

    def __init__(self, column: Column) -> None:
        self.name = column.name
        self.codes: dict[Any, float] = {
            label: float(code) for code, label in enumerate(column.vocabulary)
        }

    def one(self, value: Any) -> tuple[float, bool]:
        """The code, and whether the category is unseen.

        Raises:
            DataError: the value can be no category.
        """
        try:
            code = self.codes.get(value)
        except TypeError:
            raise self.no_category() from None
        return (math.nan, value is not None) if code is None else (code, False)

    def many(self, values: Sequence[Any]) -> tuple[Matrix, list[int]]:
        """The codes, and the rows with an unseen category."""
        if isinstance(values, NumberVector):
            values = values.labelled()
        if isinstance(values, LabelVector):
            encoded, unseen = self.many(values.labels)
            return encoded[values.places], np.flatnonzero(
                np.isin(values.places, unseen)
            ).tolist() if unseen else []
        codes = self.codes
        try:
            encoded = np.array([codes.get(value, math.nan) for value in values], dtype=np.float64)
        except TypeError:
            raise self.no_category() from None
        return encoded, [
            row for row, value in enumerate(values) if value is not None and value not in codes
        ]

    def no_category(self) -> DataError:
        return DataError(f"{self.name} is a category, but holds something that can be none")


class Numbers:
    """A numeric column: NaN where it is missing, or training's median where training never saw it
    so."""

    mark: Mark = "imputed"

    def __init__(self, column: Column) -> None:
        self.name, self.dtype, self.fill = column.name, column.dtype, column.fill
        self.whole = column.dtype in ("int64", "int32")

    def one(self, value: Any) -> tuple[float, bool]:
        """The number, and whether it is imputed.

        Raises:
            DataError: the value is no number, or no whole number where the column is declared an
                integer.
        """
        number = math.nan if value is None else self.number(value)
        if self.fill is not None and number != number:
            return self.fill, True
        return number, False

    def number(self, value: Any) -> float:
        if not isinstance(value, NUMBERS):
            raise self.no_number()
        try:
            number = float(value)  # type: ignore[arg-type]
        except OverflowError:
            raise self.no_number() from None
        if self.whole and math.isfinite(number) and not number.is_integer():
            raise self.fraction()
        return number

    def many(self, values: Sequence[Any]) -> tuple[Matrix, list[int]]:
        """The numbers, and the rows with an imputed one."""
        numbers = self.numbers(values)
        missing = np.isnan(numbers)
        if self.fill is None or not missing.any():
            return numbers, []
        return np.where(missing, self.fill, numbers), np.flatnonzero(missing).tolist()

    def numbers(self, values: Sequence[Any]) -> Matrix:
        """As float64, None as NaN, nothing imputed."""
        if isinstance(values, NumberVector):
            numbers: Matrix | None = values.numbers
        else:
            numbers = self.as_floats(values)
        if numbers is None:
            raise self.no_number()
        if self.whole and not (np.isnan(numbers) | (numbers == np.trunc(numbers))).all():
            raise self.fraction()
        return numbers

    def as_floats(self, values: Sequence[Any]) -> Matrix | None:
        try:
            return np.array([*values], dtype=np.float64) if all_numbers(values) else None
        except OverflowError:
            return None

    def no_number(self) -> DataError:
        return DataError(
            f"{self.name} is declared {self.dtype}, but holds something that is no number"
        )

    def fraction(self) -> DataError:
        return DataError(
            f"{self.name} is declared {self.dtype}, but holds a number with a fraction"
        )


Encoder = Codes | Numbers


def encoder(column: Column) -> Encoder:
    return Codes(column) if column.categorical else Numbers(column)


def all_numbers(values: Sequence[Any]) -> bool:
    """Whether every value is a number or None: numpy would also take text that reads as one, and
    lists."""
    return PLAIN_NUMBERS.issuperset(map(type, values)) or all(
        isinstance(value, NUMBERS) for value in values
    )
