"""A column without Python objects gives what a list of them gives."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from potluck.contract.features import Column
from potluck.contract.fields import DType
from potluck.scoring.encoders import encoder
from potluck.scoring.vectors import LabelVector, NumberVector, Vector

CASES: list[tuple[DType, list[Any]]] = [
    ("float64", [1.5, None, -0.0, math.inf, 3.0, 3.0]),
    ("int64", [3, None, -7, 2**53, 0, 3]),
    ("int32", [3, 4]),
    ("bool", [True, None, False, True]),
    ("string", ["a", None, "", "ä", "a"]),
    ("string", [None, None]),
    ("float64", []),
    ("string", []),
]


def vector(dtype: DType, values: Sequence[Any]) -> Vector:
    if dtype != "string":
        return NumberVector(
            np.array([math.nan if v is None else v for v in values], dtype=np.float64), dtype
        )
    labels = sorted({value for value in values if value is not None})
    places = [len(labels) if value is None else labels.index(value) for value in values]
    return LabelVector(np.array(places, dtype=np.intp), labels)


def typed(values: Sequence[Any]) -> list[tuple[type, str]]:
    return [(type(value), repr(value)) for value in values]


@pytest.mark.parametrize(("dtype", "values"), CASES)
def test_it_lists_its_values_in_their_types(dtype: DType, values: list[Any]) -> None:
    column = vector(dtype, values)
    assert typed(list(column)) == typed(values)
    assert len(column) == len(values)
    assert typed(column[1:]) == typed(values[1:])


@pytest.mark.parametrize(("dtype", "values"), CASES)
@pytest.mark.parametrize("fill", [None, 2.5])
def test_numbers_and_categories_are_encoded_as_from_a_list(
    dtype: DType, values: list[Any], fill: float | None
) -> None:
    known = [value for value in values if value is not None][:2]
    columns = [Column("x", dtype, "online", categorical=True, vocabulary=tuple(known))]
    columns += [] if dtype == "string" else [Column("x", dtype, "online", fill=fill)]
    for column in columns:
        of_vector, marked = encoder(column).many(vector(dtype, values))
        of_list, marked_of_list = encoder(column).many(values)
        assert of_vector.tobytes() == of_list.tobytes()
        assert marked == marked_of_list


@pytest.mark.parametrize(
    ("dtype", "values", "default"),
    [
        ("int64", [3, None], 9),
        ("float64", [None, 2.0], 1.0),
        ("bool", [None, False], True),
        ("string", [None, "a"], "a"),
    ],
)
def test_a_default_stands_for_what_is_missing(
    dtype: DType, values: list[Any], default: Any
) -> None:
    expected = [default if value is None else value for value in values]
    assert typed(list(vector(dtype, values).filled(default))) == typed(expected)
