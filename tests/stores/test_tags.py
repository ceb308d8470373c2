"""Tags: each is checked, and one that nobody knows is an error."""

from typing import Any

import pytest
from feast import FeatureService, Field
from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, String, UnixTimestamp

from potluck.contract.errors import DefinitionError
from potluck.stores.definitions.tags import (
    FIELD_TAGS,
    MODEL_TAGS,
    check_tags,
    flag,
    is_categorical,
    label_of,
    objective_of,
    read_field,
    transform_of,
)


def service(**tags: str) -> FeatureService:
    return FeatureService(name="price", features=[], tags=tags)


def field(dtype: Any = Float64, **tags: str) -> Field:
    return Field(name="size", dtype=dtype, tags=tags)


def test_a_tag_that_nobody_knows_is_refused_with_those_that_mean_something() -> None:
    with pytest.raises(
        DefinitionError,
        match="price has the tag 'lable', which means nothing here; expected label, ob",
    ):
        check_tags("price", {"label": "a.b", "lable": "a.b"}, MODEL_TAGS)
    check_tags("price", dict.fromkeys(MODEL_TAGS, ""), MODEL_TAGS)


@pytest.mark.parametrize("tag", ["requierd", "Default", "objective", ""])
def test_an_unknown_tag_of_a_field_is_refused_by_the_fields_name(tag: str) -> None:
    with pytest.raises(DefinitionError, match=r"field visit\.size has the tag"):
        read_field("visit", field(**{tag: "true"}), "request")


@pytest.mark.parametrize("objective", ["regression", "binary", "multiclass"])
def test_the_three_objectives_are_known(objective: str) -> None:
    assert objective_of(service(objective=objective)) == objective


@pytest.mark.parametrize(
    "tags", [{}, {"objective": "ranking"}, {"objective": "Binary"}, {"objective": ""}]
)
def test_another_objective_or_none_is_refused(tags: dict[str, str]) -> None:
    with pytest.raises(
        DefinitionError, match="needs the tag objective, one of regression, binary, multiclass"
    ):
        objective_of(service(**tags))


def test_the_transform_is_identity_unless_it_says_log() -> None:
    assert transform_of(service(), "regression") == "identity"
    assert transform_of(service(transform="identity"), "binary") == "identity"
    assert transform_of(service(transform="log"), "regression") == "log"


def test_another_transform_is_refused() -> None:
    with pytest.raises(DefinitionError, match="identity or log, got 'sqrt'"):
        transform_of(service(transform="sqrt"), "regression")


@pytest.mark.parametrize("objective", ["binary", "multiclass"])
def test_classes_have_no_log(objective: Any) -> None:
    with pytest.raises(DefinitionError, match=f"log goes with a regression, not with {objective}"):
        transform_of(service(transform="log"), objective)


def test_a_label_is_a_source_and_a_column() -> None:
    assert label_of(service(label="sales.price")) == ("sales", "price")


@pytest.mark.parametrize(
    "tags", [{}, {"label": ""}, {"label": "price"}, {"label": ".price"}, {"label": "sales."}]
)
def test_another_label_is_refused(tags: dict[str, str]) -> None:
    with pytest.raises(DefinitionError, match=r"needs the tag label as source\.column"):
        label_of(service(**tags))


@pytest.mark.parametrize(
    ("dtype", "name"),
    [(Int64, "int64"), (Int32, "int32"), (Float64, "float64"), (String, "string"), (Bool, "bool")],
)
def test_five_types_are_known(dtype: Any, name: str) -> None:
    assert read_field("visit", field(dtype), "request").dtype == name


@pytest.mark.parametrize("dtype", [Float32, Bytes, UnixTimestamp, Array(Float64)])
def test_another_type_is_refused_with_those_that_are_known(dtype: Any) -> None:
    with pytest.raises(
        DefinitionError, match=r"visit\.size is declared .*; expected one of Int64, Int32, Float64"
    ):
        read_field("visit", field(dtype), "request")


def test_a_field_without_tags_is_optional_and_has_no_default() -> None:
    plain = read_field("visit", field(), "request")
    assert (plain.name, plain.source, plain.required, plain.default) == (
        "size",
        "request",
        False,
        None,
    )


@pytest.mark.parametrize(
    ("dtype", "text", "value"),
    [
        (Float64, "0", 0.0),
        (Float64, "1e-3", 0.001),
        (Int64, "-7", -7),
        (Int32, "0", 0),
        (String, "0", "0"),
        (String, "", ""),
        (Bool, "true", True),
        (Bool, "false", False),
        (Int64, "request_time.month", "request_time.month"),
    ],
)
def test_a_default_has_its_fields_type(dtype: Any, text: str, value: Any) -> None:
    found = read_field("visit", field(dtype, default=text), "request").default
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (Float64, "many"),
        (Float64, ""),
        (Float64, "nan"),
        (Float64, "inf"),
        (Int64, "1.5"),
        (Int64, "1e3"),
        (Int64, str(2**53 + 1)),
        (Int32, str(2**31)),
        (Bool, "True"),
        (Bool, "1"),
        (Int64, "request_time.week"),
        (Bool, "request_time.month"),
        (String, "request_time.month"),
    ],
)
def test_a_default_of_another_type_is_refused(dtype: Any, text: str) -> None:
    with pytest.raises(DefinitionError, match=r"visit\.size: expected the tag default"):
        read_field("visit", field(dtype, default=text), "request")


@pytest.mark.parametrize("tag", sorted(FIELD_TAGS - {"default"}))
@pytest.mark.parametrize("text", ["yes", "True", "1", ""])
def test_a_flag_is_true_or_false(tag: str, text: str) -> None:
    with pytest.raises(
        DefinitionError, match=f"expected the tag {tag} to be true or false, got '{text}'"
    ):
        flag("visit.size", {tag: text}, tag)


def test_required_says_so() -> None:
    with pytest.raises(DefinitionError, match="required"):
        read_field("visit", field(required="yes"), "request")
    assert read_field("visit", field(required="true"), "request").required
    assert not read_field("visit", field(required="false"), "request").required


def test_text_is_a_category_and_a_number_where_it_says_so() -> None:
    assert is_categorical("visit", field(String))
    assert is_categorical("visit", field(Int64, categorical="true"))
    assert not is_categorical("visit", field(Int64))
    with pytest.raises(DefinitionError, match="categorical"):
        is_categorical("visit", field(Int64, categorical="yes"))
