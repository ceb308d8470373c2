"""The feature contract as JSON, and what stands for a part of the request's time."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potluck.contract.errors import BundleError
from potluck.contract.features import (
    Column,
    FeatureContract,
    Lineage,
    LookupView,
    OnDemandFunction,
    read_contract,
)
from potluck.contract.fields import Field
from potluck.contract.publication import Publication

repeatable = settings(derandomize=True, deadline=None, max_examples=100, database=None)

LITERALS = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)

KEY = Field("shop_id", "string", "key", required=True)
WEIGHT = Field("weight", "float64", "request", default=1.0)
MONTH = Field("month", "int64", "request", default="request_time.month")
STOCK = Field("stock", "int64", "online")
BULKY = Field("bulky", "bool", "on-demand")

CONTRACT = FeatureContract(
    project="shop",
    service="demand_hybrid",
    objective="multiclass",
    transform="identity",
    label_source="sales",
    label="band",
    keys=(KEY,),
    request=(WEIGHT, MONTH),
    online=(STOCK,),
    views=(LookupView("shelf", ("shop_id",), ("stock",), ("0a0b0c0d",), ttl_seconds=60),),
    functions=(
        OnDemandFunction("bulk", ("weight", "stock"), (replace(WEIGHT, source="on-demand"), BULKY)),
    ),
    columns=(Column("stock", "int64", "online", fill=2.5), Column("bulky", "bool", "on-demand")),
    population="shops",
    publications=(
        Publication(
            "demand_batch",
            "demand",
            KEY,
            (STOCK,),
            {"a": ("00000000",), "b": ("11111111",)},
            "history",
        ),
    ),
    classes=("high", "low"),
    lineage=Lineage("r", "d", None, "c", datetime(2010, 7, 31, tzinfo=UTC)),
)


def same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and repr(left) == repr(right)


def test_a_contract_comes_back_from_its_json() -> None:
    assert read_contract(CONTRACT.to_json()) == CONTRACT


@repeatable
@given(st.lists(LITERALS, max_size=8))
def test_a_vocabulary_keeps_types_and_bits(labels: list[Any]) -> None:
    column = Column("label", "string", "on-demand", categorical=True, vocabulary=tuple(labels))
    back = read_contract(replace(CONTRACT, columns=(column,)).to_json()).columns[0].vocabulary
    assert len(back) == len(labels)
    assert all(map(same, back, labels))


@pytest.mark.parametrize(
    "default", [True, False, 0, 1, -3, 0.0, 1.0, 0.1, -0.0, 5e-324, "", "1", "true", "None"]
)
def test_a_default_keeps_its_type_and_bits(default: Any) -> None:
    changed = replace(CONTRACT, request=(replace(WEIGHT, default=default),))
    assert same(read_contract(changed.to_json()).request[0].default, default)


@pytest.mark.parametrize("classes", [(False, True), (1, 2, 3), (0.5, 1.0), ("a", "b"), ("1", "2")])
def test_classes_keep_their_type(classes: tuple[Any, ...]) -> None:
    back = read_contract(replace(CONTRACT, classes=classes).to_json()).classes
    assert all(map(same, back, classes))


def test_the_same_contract_has_the_same_digest_and_another_has_another() -> None:
    assert read_contract(CONTRACT.to_json()).digest() == CONTRACT.digest()
    assert replace(CONTRACT, label="other").digest() != CONTRACT.digest()


@pytest.mark.parametrize(
    ("part", "expected"), [("year", 2010), ("month", 12), ("day", 31), ("hour", 23)]
)
def test_a_default_stands_for_a_part_of_the_time_it_is_given(part: str, expected: int) -> None:
    moment = datetime(2010, 12, 31, 23, 59, tzinfo=UTC)
    field = Field(part, "int64", "request", default=f"request_time.{part}")
    assert same(field.default_at(moment), expected)


@pytest.mark.parametrize("default", [None, 0, 1.5, False, "request_time", "a text"])
def test_any_other_default_is_itself_at_any_time(default: Any) -> None:
    field = Field("field", "string", "request", default=default)
    assert same(field.default_at(datetime(2010, 1, 1, tzinfo=UTC)), default)


def test_the_lineage_keeps_its_moment() -> None:
    moment = datetime(2010, 7, 31, 2, tzinfo=timezone(timedelta(hours=2)))
    lineage = read_contract(
        replace(CONTRACT, lineage=Lineage("r", "d", None, None, moment)).to_json()
    ).lineage
    assert lineage is not None
    assert lineage.as_of == moment


def test_a_service_that_looks_up_is_hybrid_and_one_that_does_not_is_realtime() -> None:
    assert CONTRACT.served_by == "hybrid"
    assert replace(CONTRACT, views=()).served_by == "realtime"


def test_each_field_is_named_once_though_a_function_passes_it_through() -> None:
    assert [field.name for field in CONTRACT.fields] == [
        "shop_id",
        "weight",
        "month",
        "stock",
        "bulky",
    ]
    assert {field.name: field.source for field in CONTRACT.fields}["weight"] == "request"


def broken(**changes: Any) -> bytes:
    document = json.loads(CONTRACT.to_json())
    document.update(changes)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"", "the whole file"),
        (b"{", "the whole file"),
        (b"[]", "the whole file"),
        (b"\xff\xfe", "the whole file"),
        (b"{}", "project"),
        (broken(objective="ranking"), "objective"),
        (
            broken(columns=[{"name": "x", "dtype": "float32", "source": "request"}]),
            r"columns\.0\.dtype",
        ),
        (broken(keys=None), "keys"),
    ],
)
def test_what_is_no_contract_is_a_bundle_error_that_says_where(text: bytes, where: str) -> None:
    with pytest.raises(
        BundleError, match=f"contract.json does not fit .* at {where}.*train the service again"
    ):
        read_contract(text)
