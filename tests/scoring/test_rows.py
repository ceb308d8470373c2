"""The row builder: from inputs by name to the model's matrix."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from potluck.contract.errors import DataError
from potluck.contract.features import Column
from potluck.contract.fields import DType
from potluck.scoring.encoders import Numbers
from potluck.scoring.model import Model
from potluck.scoring.rows import RowBuilder

JULY = datetime(2010, 7, 31, 23, 30, tzinfo=UTC)
MAY = datetime(2011, 5, 1, tzinfo=UTC)
WHOLE = {"weight": 2.0, "quantity": 3, "colour": "green", "fresh": True, "month": 4, "stock": 8.0}


def inputs(*rows: dict[str, Any]) -> dict[str, list[Any]]:
    """Columns of these rows, each with what differs from a whole one."""
    return {name: [{**WHOLE, **row}[name] for row in rows] for name in WHOLE}


def cell(model: Model, name: str, **changes: Any) -> float:
    names = [column.name for column in model.contract.columns]
    return float(model.rows.build(inputs(changes), [JULY]).matrix[0, names.index(name)])


def test_a_whole_row_stands_in_the_contracts_order(model: Model) -> None:
    built = model.rows.build(inputs({}), [JULY])
    assert built.matrix.tolist() == [[8.0, 2.0, 3.0, 1.0, 1.0, 4.0, 0.25]]
    assert (built.unseen, built.imputed) == ({}, {})


def test_the_order_of_inputs_does_not_matter(model: Model) -> None:
    given = inputs({}, {"colour": "red"})
    turned = dict(reversed(given.items()))
    assert (
        model.rows.build(given, [JULY] * 2).matrix.tolist()
        == model.rows.build(turned, [JULY] * 2).matrix.tolist()
    )


@pytest.mark.parametrize(("name", "expected"), [("quantity", 1.0), ("colour", 2.0)])
def test_a_missing_value_takes_its_default(model: Model, name: str, expected: float) -> None:
    assert cell(model, name, **{name: None}) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"), [("quantity", 0, 0.0), ("month", 0, 0.0), ("fresh", False, 0.0)]
)
def test_zero_and_false_are_values_and_not_missing(
    model: Model, name: str, value: Any, expected: float
) -> None:
    assert cell(model, name, **{name: value}) == expected


def test_a_default_that_stands_for_a_part_of_the_time_takes_each_rows_own(model: Model) -> None:
    built = model.rows.build(inputs({"month": None}, {"month": None}, {}), [JULY, MAY, MAY])
    assert built.matrix[:, 5].tolist() == [7.0, 5.0, 4.0]


def test_a_default_reaches_the_functions(parts: Any) -> None:
    request = tuple(
        replace(f, default=16.0) if f.name == "weight" else f for f in parts.contract.request
    )
    model = replace(parts, contract=replace(parts.contract, request=request)).open()
    assert cell(model, "weight_per_stock", weight=None) == 2.0


@pytest.mark.parametrize("name", ["weight", "fresh"])
def test_without_a_default_missing_stays_missing(model: Model, name: str) -> None:
    assert np.isnan(cell(model, name, **{name: None}))


def test_the_inputs_are_left_as_they_came(model: Model) -> None:
    given = inputs({"month": None, "colour": None})
    model.rows.build(given, [JULY])
    assert given == inputs({"month": None, "colour": None})


def test_an_unseen_category_is_missing_and_named_by_row(model: Model) -> None:
    built = model.rows.build(inputs({}, {"colour": "mauve"}, {"colour": ""}), [JULY] * 3)
    assert np.isnan(built.matrix[:, 3]).tolist() == [False, True, True]
    assert built.unseen == {"colour": [1, 2]}


def test_a_missing_category_is_missing_and_not_unseen(parts: Any) -> None:
    request = tuple(replace(field, default=None) for field in parts.contract.request)
    model = replace(parts, contract=replace(parts.contract, request=request)).open()
    built = model.rows.build(inputs({"colour": None}), [JULY])
    assert np.isnan(built.matrix[0, 3])
    assert built.unseen == {}


def test_what_training_never_saw_missing_is_filled_and_named_by_row(model: Model) -> None:
    built = model.rows.build(inputs({}, {"stock": None}), [JULY] * 2)
    assert built.matrix[:, 0].tolist() == [8.0, 50.0]
    assert built.imputed == {"stock": [1]}


def test_the_fill_is_for_the_model_and_not_for_the_functions(model: Model) -> None:
    assert np.isnan(cell(model, "weight_per_stock", stock=None))


@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize("value", [4.5, -0.1, 1e-9])
def test_a_fraction_where_an_integer_is_declared_is_refused(dtype: DType, value: float) -> None:
    with pytest.raises(
        DataError, match=f"count is declared {dtype}, but holds a number with a fraction"
    ):
        Numbers(Column("count", dtype, "online")).numbers([1, value, None])


def test_a_whole_float_is_an_integer() -> None:
    assert Numbers(Column("count", "int64", "online")).numbers([4.0, -7]).tolist() == [4.0, -7.0]


@pytest.mark.parametrize("value", ["four", "4", "", [4.0], {}, object(), 10**400])
@pytest.mark.parametrize("dtype", ["int64", "float64", "bool"])
def test_what_is_no_number_is_refused(dtype: DType, value: Any) -> None:
    with pytest.raises(
        DataError, match=f"size is declared {dtype}, but holds something that is no number"
    ):
        Numbers(Column("size", dtype, "online")).numbers([value])


@pytest.mark.parametrize("value", [["red"], {}, {"red"}])
def test_a_category_that_can_be_none_is_refused(model: Model, value: Any) -> None:
    with pytest.raises(DataError, match="colour"):
        model.rows.encode({**{c.name: [1.0] for c in model.contract.columns}, "colour": [value]})


def test_a_failing_function_refuses_the_rows(model: Model) -> None:
    with pytest.raises(DataError, match="on-demand function share failed"):
        model.rows.build(inputs({"weight": "heavy"}), [JULY])


def test_a_function_of_another_length_refuses_the_rows(parts: Any) -> None:
    declared = parts.contract.functions[1]
    functions = [(declared, lambda _: {"weight_per_stock": [1.0]})]
    with pytest.raises(DataError, match="gave 1 values of weight_per_stock for 2 rows"):
        RowBuilder(parts.contract, functions).build(inputs({}, {}), [JULY] * 2)


def test_no_row_gives_no_row(model: Model) -> None:
    assert model.rows.build(inputs(), []).matrix.shape == (0, len(model.contract.columns))


def test_one_row_gives_the_bits_that_it_gives_among_a_thousand(
    model: Model,
    make_inputs: Callable[[int, int], dict[str, list[Any]]],
    make_times: Callable[[int], list[datetime]],
) -> None:
    columns, times = make_inputs(1000, 7), make_times(1000)
    together = model.score(columns, times)
    for row in range(1000):
        alone = model.score(
            {name: values[row : row + 1] for name, values in columns.items()}, times[row : row + 1]
        )
        assert alone.raw.tobytes() == together.raw[row : row + 1].tobytes()
        assert alone.rows.matrix.tobytes() == together.rows.matrix[row : row + 1].tobytes()
        assert alone.predictions.values == together.predictions.values[row : row + 1]
