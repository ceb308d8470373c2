"""A user's table becomes the columns of the contract, or the message names the column, what was
expected, what came."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from potluck.contract.errors import DataError
from potluck.contract.fields import Field
from potluck.scoring.frames import contract_columns, read_table, typed_column
from potluck.scoring.model import Model

WHOLE = Field("quantity", "int64", "request")
NUMBER = Field("weight", "float64", "request")
TEXT = Field("colour", "string", "request")
TRUTH = Field("fresh", "bool", "request")


def plain(column: Any) -> list[Any]:
    return list(column)


@pytest.mark.parametrize(
    "given",
    [
        pd.Series([65.0, np.nan]),
        pd.Series([65, None], dtype="Int64"),
        pd.Series([65, None], dtype=object),
        pd.Series([np.int32(65), pd.NA], dtype=object),
        pd.Series([65, pd.NaT], dtype=object),
        [65.0, None],
        np.array([65.0, np.nan], dtype=np.float32),
    ],
)
def test_integers_that_a_gap_made_floats_are_integers_again(given: Any) -> None:
    column = plain(typed_column(WHOLE, given))
    assert column == [65, None]
    assert type(column[0]) is int


@pytest.mark.parametrize(
    "given", [pd.Series([5, 6]), pd.Series([5, 6], dtype="uint8"), [5, np.float64(6)]]
)
def test_integers_are_numbers(given: Any) -> None:
    assert plain(typed_column(NUMBER, given)) == [5.0, 6.0]


@pytest.mark.parametrize(
    "given",
    [
        pd.Series(["red", None]),
        pd.Series(["red", np.nan]),
        pd.Series(["red", None], dtype="string"),
        pd.Series(["red", None], dtype="category"),
        ["red", None],
        np.array(["red", None], dtype=object),
    ],
)
def test_texts_and_categories_are_texts_and_gaps_are_missing(given: Any) -> None:
    assert plain(typed_column(TEXT, given)) == ["red", None]


@pytest.mark.parametrize(
    "given",
    [pd.Series([True, None]), pd.Series([True, None], dtype="boolean"), [np.bool_(True), None]],
)
def test_truth_values_keep_their_gaps(given: Any) -> None:
    column = plain(typed_column(TRUTH, given))
    assert column == [True, None]
    assert type(column[0]) is bool


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (WHOLE, 65.5, "whole number .* got float 65.5"),
        (WHOLE, 2**53 + 1, "whole number"),
        (WHOLE, True, "got bool True"),
        (WHOLE, "65", "got str '65'"),
        (NUMBER, "x", "finite number .* got str 'x'"),
        (NUMBER, np.inf, "finite number"),
        (NUMBER, 10**400, "finite number"),
        (NUMBER, False, "got bool"),
        (TEXT, 7, "text .* got int 7"),
        (TRUTH, 1, "true or false .* got int 1"),
        (TRUTH, [], "got list"),
    ],
)
def test_another_type_is_refused_by_column_and_row(field: Field, value: Any, said: str) -> None:
    for given in ([None, value], pd.Series([None, value], dtype=object)):
        with pytest.raises(DataError, match=f"column {field.name}, row 1: expected .*{said}"):
            typed_column(field, given)


@pytest.mark.parametrize(
    "given", [np.array([1.0, 2.5]), np.array([1.0, np.inf]), pd.Series([1, 2**60])]
)
def test_one_number_that_does_not_fit_is_found_among_many(given: Any) -> None:
    with pytest.raises(DataError, match="column quantity, row 1"):
        typed_column(WHOLE, given)


def test_a_column_that_the_table_lacks_is_missing_in_every_row(model: Model) -> None:
    columns = contract_columns(model.contract, read_table(pd.DataFrame({"weight": [1.0, 2.0]})))
    assert columns["colour"] == [None, None]


@pytest.mark.parametrize(
    "table", [{"colour": ["red"]}, [{"colour": "red"}], pd.DataFrame({"colour": ["red"]})]
)
def test_a_required_column_that_is_absent_is_named(model: Model, table: Any) -> None:
    with pytest.raises(DataError, match="price requires the columns weight"):
        contract_columns(model.contract, read_table(table))


def test_a_gap_in_a_required_column_is_named_by_row(model: Model) -> None:
    frame = pd.DataFrame({"weight": [1.0, np.nan, 2.0]})
    with pytest.raises(DataError, match=r"column weight: expected .* missing in 1 of 3: row 1"):
        contract_columns(model.contract, read_table(frame))


def test_a_misspelt_column_is_refused_and_not_taken_for_missing(model: Model) -> None:
    frame = pd.DataFrame({"weight": [1.0], "color": ["red"]})
    with pytest.raises(
        DataError, match=r"got also color; leave them out. It takes: weight, quantity, colour"
    ):
        contract_columns(model.contract, read_table(frame))


def test_a_computed_column_is_refused(model: Model) -> None:
    frame = pd.DataFrame({"weight": [1.0], "weight_per_stock": [2.0]})
    with pytest.raises(DataError, match="weight_per_stock: computed on demand"):
        contract_columns(model.contract, read_table(frame))


def test_a_column_that_comes_twice_is_refused() -> None:
    with pytest.raises(DataError, match="each column once, got weight"):
        read_table(pd.DataFrame([[1.0, 2.0]], columns=["weight", "weight"]))


@pytest.mark.parametrize("data", [np.zeros((2, 2)), "rows.csv", 5, [1, 2], None])
def test_what_is_no_table_is_refused(data: Any) -> None:
    with pytest.raises(
        DataError, match="expected a DataFrame, a list of records or a dict of columns"
    ):
        read_table(data)


@pytest.mark.parametrize(
    "data", [{"weight": [1.0], "colour": ["red", "blue"]}, {"weight": [1.0], "colour": "red"}]
)
def test_columns_of_different_lengths_are_refused(data: Any) -> None:
    with pytest.raises(DataError, match="columns of one length"):
        read_table(data)


def test_one_record_is_a_table_of_one_row() -> None:
    table = read_table({"weight": 1.0, "colour": "red"})
    assert (table.height, table.columns["colour"]) == (1, ["red"])
