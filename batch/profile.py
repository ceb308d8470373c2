"""The shape of a run's predictions, kept with its history and compared with the next run's."""

import numpy as np
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from potluck.contract.formats import NEWEST, Format

BINS = 10
SMALLEST_SHARE = 1e-4
"""Stands for the share of an empty bin: 0 has no logarithm."""
FEWEST_ROWS = 200
"""Below it, the shares of ten bins say little."""

Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
Labels = dict[str, int]
"""Label -> how often it was predicted."""
Predicted = Numbers | Labels


@dataclass(frozen=True)
class Profile:
    """Of numbers: range, inner edges of ten bins and their shares. Of classes: shares by label."""

    run_id: str
    rows: int
    lowest: float | None
    highest: float | None
    edges: tuple[float, ...]
    shares: dict[str, float]
    format: Format = NEWEST


PROFILE = TypeAdapter(Profile)


def count_predictions(values: Predicted) -> int:
    return sum(values.values()) if isinstance(values, dict) else len(values)


def profile_of(run_id: str, values: Predicted) -> Profile:
    """Return the profile of a run's predictions."""
    if isinstance(values, dict):
        return Profile(run_id, count_predictions(values), None, None, (), shares_of_labels(values))
    if not len(values):
        return Profile(run_id, 0, None, None, (), {})
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    # Each edge once: where one value is frequent, several quantiles are equal.
    edges = tuple(np.unique(np.quantile(values, inner)).tolist())
    shares = shares_of_numbers(values, edges)
    return Profile(run_id, len(values), float(values.min()), float(values.max()), edges, shares)


def shares_by_bin(values: Predicted, edges: tuple[float, ...]) -> dict[str, float]:
    if isinstance(values, dict):
        return shares_of_labels(values)
    return shares_of_numbers(values, edges)


def shares_of_numbers(values: Numbers, edges: tuple[float, ...]) -> dict[str, float]:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return {str(place): count / len(values) for place, count in enumerate(counts.tolist())}


def shares_of_labels(labels: Labels) -> dict[str, float]:
    rows = count_predictions(labels)
    return {label: count / rows for label, count in sorted(labels.items())}


def stability_index(last: Profile, values: Predicted) -> float | None:
    """Return the population stability index of the predictions against last run's.

    0 is the same distribution; from 0.25 on it is commonly called a major shift.

    Returns:
        None where either run has too few rows.
    """
    if min(last.rows, count_predictions(values)) < FEWEST_ROWS:
        return None
    shares = shares_by_bin(values, last.edges)
    index = 0.0
    for name in sorted({*last.shares, *shares}):
        before = max(last.shares.get(name, 0.0), SMALLEST_SHARE)
        now = max(shares.get(name, 0.0), SMALLEST_SHARE)
        index += (now - before) * np.log(now / before)
    return float(index)


def share_outside(last: Profile, values: Predicted) -> float | None:
    """Return the share of predictions beyond the lowest and the highest of last run's.

    Returns:
        None for classes, and where either run has no rows.
    """
    if isinstance(values, dict) or not len(values):
        return None
    if last.lowest is None or last.highest is None:
        return None
    return float(np.mean((values < last.lowest) | (values > last.highest)))
