"""Which rows of a table are alike in some of its columns."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def came_again(codes: NDArray[np.int64], counted: Mask) -> Mask:
    """Mark the rows, among those that count, after which another one of the same code comes."""
    # From the end, as numpy.unique gives the first place of each code.
    places = np.flatnonzero(counted)[::-1]
    _, last = np.unique(codes[places], return_index=True)
    again = counted.copy()
    again[places[last]] = False
    return again


def identities(table: pa.Table, names: Sequence[str]) -> NDArray[np.int64]:
    """Number the rows: alike rows get the same number.

    Args:
        names: the columns that are compared; two missing values are alike.
    """
    codes = np.zeros(table.num_rows, dtype=np.int64)
    for name in names:
        different = codes_of(table[name])
        most = int(different.max(initial=0))
        pairs = codes * (most + 1) + different
        # Numbered from 0 again, so that the next product stays within 64 bits.
        _, numbered = np.unique(pairs, return_inverse=True)
        codes = numbered.astype(np.int64)
    return codes


def codes_of(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Number a column's values: alike values get the same number."""
    try:
        encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    except pa.ArrowNotImplementedError:  # lists and the like
        encoded = pa.array(map(repr, column.to_pylist()), pa.string()).dictionary_encode()
    codes: NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes
