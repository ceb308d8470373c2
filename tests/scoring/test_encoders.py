"""One value and many become the same numbers, with the same marks and the same errors."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potluck.contract.errors import DataError
from potluck.contract.features import Column
from potluck.contract.fields import DType
from potluck.scoring.encoders import encoder

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(
        [np.float32(1.5), np.int64(4), np.bool_(True), 10**400, "red", [], {}, 1j, np.complex128(1)]
    ),
)
COLUMNS = [
    Column("x", "int64", "request"),
    Column("x", "int32", "request", fill=3.0),
    Column("x", "float64", "request"),
    Column("x", "float64", "request", fill=-0.5),
    Column("x", "bool", "request", fill=1.0),
    Column("x", "string", "request", categorical=True, vocabulary=("", "red")),
    Column("x", "int64", "request", categorical=True, vocabulary=(1, 4)),
    Column("x", "bool", "request", categorical=True, vocabulary=(False, True)),
]


def one(column: Column, value: Any) -> tuple[bytes, bool] | str:
    try:
        number, marked = encoder(column).one(value)
    except DataError as error:
        return str(error)
    return np.float64(math.nan if math.isnan(number) else number).tobytes(), marked


def many(column: Column, value: Any) -> tuple[bytes, bool] | str:
    try:
        numbers, marked = encoder(column).many([value])
    except DataError as error:
        return str(error)
    return np.where(np.isnan(numbers), math.nan, numbers).tobytes(), marked == [0]


@pytest.mark.parametrize("column", COLUMNS)
@given(value=ANYTHING)
def test_one_value_is_encoded_as_among_many(column: Column, value: Any) -> None:
    assert one(column, value) == many(column, value)


@pytest.mark.parametrize("dtype", ["int64", "float64", "bool"])
def test_the_rows_that_are_marked_are_named(dtype: DType) -> None:
    numbers, marked = encoder(Column("x", dtype, "request", fill=7.0)).many([1, None, 0, None])
    assert (numbers.tolist(), marked) == ([1.0, 7.0, 0.0, 7.0], [1, 3])
