"""Find columns that give the label away: measure how well a column alone predicts the label.

Each row is predicted from the other rows.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Numbers = NDArray[np.float64]

SURE = 0.995
"""From this value on, a column is a copy, a transform or a consequence of the label."""
SUSPICIOUS = 0.98
FEWEST_ROWS = 50
"""Fewer rows prove nothing."""
FEWEST_OF_CLASS = 5
MOST_GROUPS = 64
BINS = 256
ROWS_OF_BIN = 8


def tell_label(values: pa.ChunkedArray, label: pa.ChunkedArray, *, is_number: bool) -> float:
    """Measure how well a column alone tells the label.

    Args:
        is_number: whether the label is a number.

    Returns:
        From 0 to 1. Of a number, the share of its variance that is explained. Of classes, the mean
        share of their rows that are recognised, so that a rare class counts as much as a frequent
        one.
    """
    known = label.is_valid()
    values, label = values.filter(known), label.filter(known)
    if len(label) < FEWEST_ROWS:
        return 0.0
    if is_number:
        return tell_number(values, as_numbers(label))
    return tell_class(values, category_codes(label))


def tell_class(values: pa.ChunkedArray, classes: Codes) -> float:
    grouped = share_recognised(groups_of(values), classes)
    if not holds_numbers(values) or classes.max(initial=0) != 1:
        return grouped
    return max(grouped, area_under_curve(values, classes))


def share_recognised(groups: Codes, classes: Codes) -> float:
    """Compute the share of a class's rows whose group has mostly that class, as mean over classes.

    A row's own class is not counted in its group.
    """
    counts = np.zeros((int(groups.max()) + 1, int(classes.max()) + 1))
    np.add.at(counts, (groups, classes), 1)
    ordered = np.sort(counts, axis=1)
    best = ordered[:, -1:]
    second = ordered[:, -2:-1] if counts.shape[1] > 1 else np.zeros_like(ordered)
    others = np.where(counts == best, second, best)
    hits = np.where(counts - 1 > others, counts, 0)
    totals = counts.sum(axis=0)
    enough = totals >= FEWEST_OF_CLASS
    if not enough.any():
        return 0.0
    return float((hits.sum(axis=0)[enough] / totals[enough]).mean())


def area_under_curve(values: pa.ChunkedArray, classes: Codes) -> float:
    """Compute the area under the ROC curve of a number for two classes; at least one half."""
    known = values.is_valid().to_numpy().astype(bool)
    if known.mean() < SUSPICIOUS:
        return 0.0
    ranks, chosen = ranks_of(as_numbers(values.drop_null())), classes[known] == 1
    positive, negative = int(chosen.sum()), int((~chosen).sum())
    if min(positive, negative) < FEWEST_OF_CLASS:
        return 0.0
    # The Mann-Whitney statistic: which number is larger, over all pairs of the two classes.
    area = (ranks[chosen].sum() - positive * (positive + 1) / 2) / (positive * negative)
    return float(max(area, 1 - area))


def tell_number(values: pa.ChunkedArray, label: Numbers) -> float:
    explained = group_means(groups_of(values), label)
    known = values.is_valid().to_numpy().astype(bool)
    if not holds_numbers(values) or known.mean() < SUSPICIOUS:
        return explained
    # Spearman's rank correlation: it finds any transform that keeps or turns the order.
    ranks = ranks_of(as_numbers(values.drop_null()))
    same_order = np.corrcoef(ranks, ranks_of(label[known]))[0, 1]
    return max(explained, float(np.nan_to_num(same_order**2)))


def group_means(groups: Codes, label: Numbers) -> float:
    """Compute R² of a guess: the mean of the other rows of a row's group."""
    counts, sums = np.bincount(groups), np.bincount(groups, weights=label)
    others = counts[groups] - 1
    guess = np.where(others > 0, (sums[groups] - label) / np.maximum(others, 1), label.mean())
    variation = float(((label - label.mean()) ** 2).sum())
    if not variation:
        return 0.0
    return max(0.0, 1 - float(((label - guess) ** 2).sum()) / variation)


def groups_of(values: pa.ChunkedArray) -> Codes:
    """Group rows of the same value; of many different numbers, those in the same range.

    Rows without a value are a group.
    """
    if not holds_numbers(values) or pc.count_distinct(values).as_py() <= MOST_GROUPS:
        return category_codes(values)
    known = values.is_valid().to_numpy().astype(bool)
    bins = min(BINS, max(2, len(values) // ROWS_OF_BIN))
    groups = np.full(len(values), bins, dtype=np.int64)
    ranks = ranks_of(as_numbers(values.drop_null()))
    groups[known] = np.minimum((ranks - 1) * bins / max(1, known.sum()), bins - 1).astype(np.int64)
    return groups


def category_codes(values: pa.ChunkedArray) -> Codes:
    encoded = values.combine_chunks().dictionary_encode(null_encoding="encode")
    codes: Codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def ranks_of(numbers: Numbers) -> Numbers:
    """Rank numbers from 1; equal numbers have the mean of their ranks."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Numbers = (ends - (counts - 1) / 2)[places]
    return ranks


def holds_numbers(values: pa.ChunkedArray) -> bool:
    held = values.type
    return bool(
        pa.types.is_integer(held) or pa.types.is_floating(held) or pa.types.is_temporal(held)
    )


def as_numbers(values: pa.ChunkedArray) -> Numbers:
    if pa.types.is_date32(values.type):
        values = values.cast(pa.int32())
    if pa.types.is_temporal(values.type):
        values = values.cast(pa.int64())
    numbers: Numbers = values.cast(pa.float64(), safe=False).to_numpy()
    return numbers
