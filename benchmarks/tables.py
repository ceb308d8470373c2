"""Tables of an unseen kind, made by seed: a bank's calls, comic characters, and a choice of 24
classes.

Each is hard in its own way: weak signal among noise, categories of many values with many missing
ones, a class of a handful of rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from potluck.contract.features import Objective

Numbers = npt.NDArray[np.float64]
Random = np.random.Generator


@dataclass(frozen=True)
class Made:
    """A table as the trees take it: categories are codes, NaN is missing; the rows are in order of
    time."""

    objective: Objective
    matrix: Numbers
    categorical: tuple[int, ...]
    labels: Numbers
    """Class codes."""


def bank(seed: int, rows: int = 45_000, *, drift: float = 0.0) -> Made:
    """Calls of a bank, one in nine a success; what is known of a client says little of it.

    Args:
        drift: by how much the odds (their logarithm) rise from the first call to the last.
    """
    random = np.random.default_rng(seed)
    numbers = bank_numbers(random, rows)
    sizes = (12, 3, 4, 2, 2, 2, 3, 12, 4)
    codes = [category(random, rows, size) for size in sizes]
    effects = []
    for size, code in zip(sizes, codes, strict=True):
        strengths = random.normal(0, 0.22, size)
        effects.append(strengths[code])
    season = 0.25 * np.sin(np.arange(rows) / rows * 9)
    trend = drift * np.arange(rows) / rows
    score = np.sum(effects, axis=0)
    for effect in (*bank_effects(numbers), season, trend):
        score = score + effect
    noise = [random.normal(size=rows) for _ in range(2)]
    numeric = [*numbers.values(), *noise]
    columns = [*numeric, *map(as_floats, codes)]
    return two_classes(random, columns, len(numeric), score, 0.11)


def bank_numbers(random: Random, rows: int) -> dict[str, Numbers]:
    """What is known in numbers; four in five clients were never called before."""
    age = random.gamma(12, 3.4, rows) + 18
    balance = random.lognormal(6.3, 1.4, rows) - 400
    day = random.integers(1, 32, rows)
    campaign = random.geometric(0.36, rows)
    previous = random.poisson(0.5, rows)
    first_call = random.random(rows) < 0.8
    since = random.gamma(4, 55, rows)
    return {
        "age": age,
        "balance": balance,
        "day": day.astype(float),
        "campaign": campaign.astype(float),
        "previous": previous.astype(float),
        "days_since": np.where(first_call, np.nan, since),
    }


def bank_effects(numbers: Mapping[str, Numbers]) -> list[npt.NDArray[Any]]:
    """What the numbers say: of age, of campaign and balance, of the last call."""
    old = numbers["age"] > 60
    young = numbers["age"] < 26
    age = 0.5 * (old | young)
    credit = np.log1p(np.maximum(numbers["balance"], 0))
    rest = -0.12 * numbers["campaign"] + 0.1 * credit / 2
    since = numbers["days_since"]
    lately = 0.6 * (since < 190)
    back = np.where(np.isnan(since), -0.3, lately)
    return [age, rest, back]


def comics(seed: int) -> Made:
    """16,000 characters, one in four deceased; nearly all that is known are categories, and much is
    not."""
    random, rows = np.random.default_rng(seed), 16_000
    sizes = (24, 26, 4, 5, 5, 12, 60, 900)
    strengths = (0.15, 0.15, 0.6, 0.3, 0.4, 0.05, 0.35, 0.45)
    missing = (0.6, 0.25, 0.2, 0.05, 0.25, 0.05, 0.1, 0.1)
    codes = [category(random, rows, size) for size in sizes]
    effects = []
    for strength, size, code in zip(strengths, sizes, codes, strict=True):
        by_code = random.normal(0, strength, size)
        effects.append(by_code[code])
    year = random.triangular(1939, 1995, 2014, rows)
    appearances = random.lognormal(1.2, 1.5, rows).round() + 1
    score = np.sum(effects, axis=0)
    score += -0.015 * (year - 1980)
    score += 0.12 * np.log(appearances)
    known = []
    for code, share in zip(codes, missing, strict=True):
        known.append(gaps(random, as_floats(code), share))
    columns = [gaps(random, year, 0.05), gaps(random, appearances, 0.07), *known]
    return two_classes(random, columns, 2, score, 0.25)


def choices(seed: int) -> Made:
    """12,000 rows of 24 classes between a third of the rows and half a dozen of them."""
    random, rows, classes = np.random.default_rng(seed), 12_000, 24
    shares = np.geomspace(1, 0.002, classes)
    labels = random.choice(classes, rows, p=shares / shares.sum())
    centres = random.normal(0, 0.75, (classes, 6))
    numbers = centres[labels] + random.normal(size=(rows, 6))
    hints = [hint(random, labels, classes) for _ in range(2)]
    columns = [*numbers.T, random.normal(size=rows), *map(as_floats, hints)]
    return Made("multiclass", np.column_stack(columns), (7, 8), labels.astype(float))


def hint(random: Random, labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    """A category that is the label in one row of five, and chance in the others."""
    told = random.random(len(labels)) < 0.2
    return np.where(told, labels, category(random, len(labels), classes))


TABLES: Mapping[str, Callable[[int], Made]] = {
    "bank": bank,
    "bank, more successes from year to year": lambda seed: bank(seed, drift=3.0),
    "bank, 120,000 rows": lambda seed: bank(seed, 120_000),
    "comics": comics,
    "24 classes": choices,
}


def category(random: Random, rows: int, size: int) -> npt.NDArray[np.int64]:
    """Codes of which the first are common and the last are rare."""
    places = np.arange(1, size + 1)
    shares = 1 / places**0.8
    return random.choice(size, rows, p=shares / shares.sum())


def as_floats(codes: npt.NDArray[np.int64]) -> Numbers:
    return codes.astype(np.float64)


def gaps(random: Random, values: Numbers, share: float) -> Numbers:
    """With some values missing."""
    missing = random.random(len(values)) < share
    return np.where(missing, np.nan, values)


def two_classes(
    random: Random, columns: list[Numbers], numeric: int, score: Numbers, share: float
) -> Made:
    """Labels drawn by a score, so shifted that this share is positive."""
    rows = len(score)
    shift = np.quantile(score + random.logistic(size=rows), 1 - share)
    positive = score + random.logistic(size=rows) > shift
    categorical = tuple(range(numeric, len(columns)))
    return Made("binary", np.column_stack(columns), categorical, positive.astype(np.float64))
