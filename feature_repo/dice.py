"""Draws for all houses at once, and the words for what a house has not or nobody knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import ames
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Column: TypeAlias = NDArray[Any]
"""One value per house; None among texts and NaN among numbers are missing."""
Columns: TypeAlias = dict[str, Column]

FRACTIONAL = ("LotFrontage", "SalePrice")
GRADES = np.array(["Fa", "TA", "Gd", "Ex"], object)
GRADE_BOUNDS = [3.2, 6.4, 8.7]  # overall qualities between which a grade is the likeliest


@dataclass(frozen=True)
class Dice:
    """Draws for all houses at once."""

    rng: np.random.Generator
    rows: int

    def chance(self, share: float | Column) -> Column:
        return self.rng.random(self.rows) < share

    def normal(self, mean: float | Column, sd: float | Column) -> Column:
        return self.rng.normal(mean, sd, self.rows)

    def between(self, least: float | Column, most: float | Column) -> Column:
        return self.rng.uniform(least, most, self.rows)

    def count(
        self, mean: float | Column, sd: float | Column, least: float, most: float | Column
    ) -> Column:
        """Integers around a mean, kept between two bounds."""
        return np.clip(np.rint(self.normal(mean, sd)), least, most).astype(np.int64)

    def pick(self, shares: ames.Shares) -> Column:
        weights = np.array(list(shares.values())) / sum(shares.values())
        codes = self.rng.choice(len(weights), self.rows, p=weights)
        return np.array(list(shares), object)[codes]

    def anywhere(self, *names: str) -> Columns:
        """Columns of categories that depend on nothing else."""
        return {name: self.pick(ames.ANYWHERE[name]) for name in names}

    def by_era(self, built: Column, *names: str) -> Columns:
        """Columns of categories that depend on the year built."""
        eras = [built < 1946, built < 1985]
        columns = {}
        for name in names:
            early, middle, late = (self.pick(shares) for shares in ames.BY_ERA[name])
            columns[name] = np.select(eras, [early, middle], late)
        return columns

    def grade(self, quality: Column) -> Column:
        """A grade from Fa to Ex that goes with an overall quality (1..10)."""
        return GRADES[np.searchsorted(GRADE_BOUNDS, self.normal(quality, 0.7))]


def none_where(absent: Column, values: Column) -> Column:
    """The category None, or the number 0, for what a house has not."""
    return np.where(absent, "None" if values.dtype == object else 0, values)


def lose(lost: Column, values: Column) -> Column:
    """A missing value where the value got lost; integers become floats."""
    missing: Any = None if values.dtype == object else np.nan
    return np.where(lost, missing, values)


def translate(words: Column, meanings: Mapping[str, Any]) -> Column:
    """Each word's meaning, the word itself where it has none."""
    return np.array([meanings.get(word, word) for word in words], object)


def fact(table: Mapping[str, NamedTuple], names: Column, wanted: str) -> Column:
    """One fact of each name in a table of them."""
    facts = np.array([getattr(row, wanted) for row in table.values()])
    codes = {name: code for code, name in enumerate(table)}
    return facts[[codes[name] for name in names]]


def to_arrow(name: str, values: Column) -> pa.Array:
    if values.dtype == object:
        return pa.array(values, pa.string())
    kind = pa.float64() if name in FRACTIONAL else pa.int64()
    return pa.array(values, from_pandas=True).cast(kind)  # NaN becomes null
