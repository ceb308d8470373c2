"""Does a column give the label away? What the column alone predicts, each row without its own help."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Codes = NDArray[np.int64]
Numbers = NDArray[np.float64]

SURE = 0.995
"""From here on a column is a copy, a transform or a consequence of the label."""
SUSPICIOUS = 0.98
FEWEST_ROWS = 50
"""Fewer rows prove nothing."""
FEWEST_OF_CLASS = 5
MOST_GROUPS = 64
BINS = 256
ROWS_OF_BIN = 8


def tell_label(values: pa.ChunkedArray, label: pa.ChunkedArray, *, is_number: bool) -> float:
    """How well a column alone tells the label, from 0 to 1.

    Args:
        is_number: of the label: the share of its variance that is explained; of classes, the mean share of their
            rows that are recognised, so that a rare class weighs as much as a frequent one.
    """
    known = label.is_valid()
    values, label = values.filter(known), label.filter(known)
    if len(label) < FEWEST_ROWS:
        return 0.0
    if is_number:
        return tell_number(values, as_numbers(label))
    return tell_class(values, category_codes(label))


def tell_class(values: pa.ChunkedArray, classes: Codes) -> float:
    grouped = recognised(groups_of(values), classes)
    if not holds_numbers(values) or classes.max(initial=0) != 1:
        return grouped
    return max(grouped, threshold(values, classes))


def recognised(groups: Codes, classes: Codes) -> float:
    """Mean share of each class's rows to which the other rows of their group point."""
    counts = np.zeros((int(groups.max()) + 1, int(classes.max()) + 1))
    np.add.at(counts, (groups, classes), 1)
    ordered = np.sort(counts, axis=1)
    best, second = (
        ordered[:, -1:],
        ordered[:, -2:-1] if counts.shape[1] > 1 else np.zeros_like(ordered),
    )
    others = np.where(counts == best, second, best)
    hits = np.where(counts - 1 > others, counts, 0)
    totals = counts.sum(axis=0)
    enough = totals >= FEWEST_OF_CLASS
    return float((hits.sum(axis=0)[enough] / totals[enough]).mean()) if enough.any() else 0.0


def threshold(values: pa.ChunkedArray, classes: Codes) -> float:
    """Area under the ROC curve of a number for two classes, whichever way it points."""
    known = values.is_valid().to_numpy().astype(bool)
    if known.mean() < SUSPICIOUS:
        return 0.0
    ranks, chosen = ranks_of(as_numbers(values.drop_null())), classes[known] == 1
    positive, negative = int(chosen.sum()), int((~chosen).sum())
    if min(positive, negative) < FEWEST_OF_CLASS:
        return 0.0
    area = (ranks[chosen].sum() - positive * (positive + 1) / 2) / (positive * negative)
    return float(max(area, 1 - area))


def tell_number(values: pa.ChunkedArray, label: Numbers) -> float:
    explained = group_means(groups_of(values), label)
    known = values.is_valid().to_numpy().astype(bool)
    if not holds_numbers(values) or known.mean() < SUSPICIOUS:
        return explained
    same_order = np.corrcoef(ranks_of(as_numbers(values.drop_null())), ranks_of(label[known]))[0, 1]
    return max(explained, float(np.nan_to_num(same_order**2)))


def group_means(groups: Codes, label: Numbers) -> float:
    """R² of the mean of each row's group without the row."""
    counts, sums = np.bincount(groups), np.bincount(groups, weights=label)
    others = counts[groups] - 1
    guess = np.where(others > 0, (sums[groups] - label) / np.maximum(others, 1), label.mean())
    spread = float(((label - label.mean()) ** 2).sum())
    return max(0.0, 1 - float(((label - guess) ** 2).sum()) / spread) if spread else 0.0


def groups_of(values: pa.ChunkedArray) -> Codes:
    """Rows alike: of the same value, or, of many different numbers, in the same range. Missing is one group."""
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
    """From 1; equal numbers share the mean of their ranks."""
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
