"""Entities that the online store does not know: refused or missing, as their views want it, and
each by its own key."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from variants import variant

from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.fields import Field
from potluck.contract.redis_format import (
    encode_timestamp,
    encode_value,
    entity_key,
    timestamp_field,
)
from potluck.redis.embedded import client

STRANGER = 987654321
KEYS = ("flower_id", "garden")


def missing(contract: FeatureContract) -> FeatureContract:
    """Every view takes an unknown entity for missing values."""
    return replace(
        contract, views=tuple(replace(view, unknown="missing") for view in contract.views)
    )


def half_of(view: LookupView, place: int, **changes: Any) -> LookupView:
    """A view of one of the features."""
    return replace(
        view,
        features=view.features[place : place + 1],
        field_ids=view.field_ids[place : place + 1],
        **changes,
    )


def two_views_of_one_key(contract: FeatureContract) -> FeatureContract:
    (view,) = contract.views
    return replace(contract, views=(half_of(view, 0), half_of(view, 1, name="widths")))


def a_flower_and_its_garden(contract: FeatureContract) -> FeatureContract:
    """A single key and a composite one that shares it."""
    (view,) = contract.views
    garden = Field("garden", "string", "key", required=True)
    views = (half_of(view, 0), half_of(view, 1, name="gardens", join_keys=KEYS))
    return replace(contract, keys=(*contract.keys, garden), views=views)


def a_garden_that_may_be_new(contract: FeatureContract) -> FeatureContract:
    contract = a_flower_and_its_garden(contract)
    flower, garden = contract.views
    return replace(contract, views=(flower, replace(garden, unknown="missing")))


@pytest.fixture
def record(iris: Any) -> dict[str, Any]:
    return dict(iris.population()[0])


@pytest.fixture
def garden(iris: Any, record: dict[str, Any]) -> Iterator[str]:
    """A garden that the store knows together with the record's flower."""
    redis = client(iris.settings)
    key = entity_key("iris", KEYS, [record["flower_id"], "south"], ["int64", "string"])
    redis.hset(key, mapping={timestamp_field("gardens"): encode_timestamp(datetime.now(UTC))})
    yield "south"
    redis.delete(key)


def details(answer: Any) -> dict[str, str]:
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (404, "ENTITY_NOT_FOUND"), body
    return {detail["field"]: detail["reason"] for detail in body["details"]}


def test_a_new_customer_is_answered_with_missing_values_where_the_views_allow_it(
    iris: Any, tmp_path: Any, record: dict[str, Any]
) -> None:
    with variant(iris, tmp_path, missing) as server:
        path = f"/predict/{server.repo.hybrid}"
        known = server.post(path, record).json()
        new = server.post(path, {**record, "flower_id": STRANGER}).json()
        assert "not_found" not in known
        assert new["not_found"] == ["flower_id"]
        assert new["prediction"]
        assert new["probabilities"] != known["probabilities"]
        batch = server.post(
            f"{path}/batch", {"dataframe_records": [record, {**record, "flower_id": STRANGER}]}
        ).json()
        assert batch["errors"] == []
        assert [note for note in batch["notes"] if "not_found" in note] == [
            {"row": 1, **{name: new[name] for name in ("not_found", "imputed") if name in new}}
        ]
        assert batch["probabilities"] == [known["probabilities"], new["probabilities"]]


def test_what_a_new_customer_sends_takes_the_place_of_what_is_missing(
    iris: Any, tmp_path: Any, record: dict[str, Any]
) -> None:
    with variant(iris, tmp_path, missing) as server:
        sent = {**record, "flower_id": STRANGER, "petal_length": 1.4, "petal_width": 0.2}
        answer = server.post(f"/predict/{server.repo.hybrid}", sent).json()
    assert answer["overridden"] == ["petal_length", "petal_width"]
    assert answer["not_found"] == ["flower_id"]
    assert answer["prediction"] == "setosa"


def test_a_required_field_of_an_unknown_entity_is_asked_for(
    iris: Any, tmp_path: Any, record: dict[str, Any]
) -> None:
    def required(contract: FeatureContract) -> FeatureContract:
        online = tuple(replace(field, required=True) for field in contract.online)
        return replace(missing(contract), online=online)

    with variant(iris, tmp_path, required) as server:
        answer = server.post(f"/predict/{server.repo.hybrid}", {**record, "flower_id": STRANGER})
    assert answer.status_code == 422
    assert [detail["field"] for detail in answer.json()["details"]] == [
        "petal_length",
        "petal_width",
    ]


def test_an_entity_that_one_of_two_views_knows_is_answered_and_named(
    iris: Any, tmp_path: Any, record: dict[str, Any]
) -> None:
    with variant(iris, tmp_path, two_views_of_one_key) as server:
        path = f"/predict/{server.repo.hybrid}"
        assert server.post(path, record).json()["not_found"] == ["flower_id"]
        assert set(details(server.post(path, {**record, "flower_id": STRANGER}))) == {"flower_id"}


def test_each_unknown_entity_of_a_record_is_named_by_its_own_key(
    iris: Any, tmp_path: Any, record: dict[str, Any], garden: str
) -> None:
    with variant(iris, tmp_path, a_flower_and_its_garden) as server:
        path = f"/predict/{server.repo.hybrid}"
        assert server.post(path, {**record, "garden": garden}).status_code == 200
        only_the_garden = server.post(path, {**record, "garden": "north"})
        both = server.post(path, {**record, "flower_id": STRANGER, "garden": garden})
    assert set(details(only_the_garden)) == {"flower_id, garden"}
    assert set(details(both)) == {"flower_id", "flower_id, garden"}
    assert "2 of the record's entities" in both.json()["message"]


def test_only_what_must_be_known_is_refused(
    iris: Any, tmp_path: Any, record: dict[str, Any], garden: str
) -> None:
    with variant(iris, tmp_path, a_garden_that_may_be_new) as server:
        path = f"/predict/{server.repo.hybrid}"
        assert server.post(path, {**record, "garden": "north"}).json()["not_found"] == list(KEYS)
        assert set(
            details(server.post(path, {**record, "flower_id": STRANGER, "garden": garden}))
        ) == {"flower_id"}


@pytest.mark.parametrize("default", [0.0, 4.5])
def test_a_required_field_with_a_default_takes_it_also_if_that_is_nothing(
    iris: Any, tmp_path: Any, record: dict[str, Any], default: float
) -> None:
    def with_default(contract: FeatureContract) -> FeatureContract:
        online = tuple(replace(field, required=True, default=default) for field in contract.online)
        return replace(missing(contract), online=online)

    with variant(iris, tmp_path, with_default) as server:
        path = f"/predict/{server.repo.hybrid}"
        filled = server.post(path, {**record, "flower_id": STRANGER})
        sent = server.post(path, {**record, "petal_length": default, "petal_width": default})
    assert filled.status_code == 200
    assert filled.json()["probabilities"] == sent.json()["probabilities"]
    assert "imputed" not in filled.json()


@pytest.mark.parametrize(
    ("dtype", "default"), [("bool", False), ("string", ""), ("int64", 0), ("float64", 0.0)]
)
def test_every_falsy_default_is_a_default(dtype: Any, default: Any) -> None:
    from serving.services.entities import EntityReader, Known

    online = (Field("looked_up", dtype, "online", required=True, default=default),)
    key = Field("id", "int64", "key", required=True)
    view = LookupView("view", ("id",), ("looked_up",), ("00000000",), 0)
    contract = FeatureContract(
        "p", "s", "regression", "identity", "l", "y", (key,), (), online, (view,), (), ()
    )
    reply = [encode_timestamp(datetime.now(UTC)), encode_value(None, dtype)]
    assert isinstance(EntityReader(contract).known({"id": 1}, [reply], 0.0), Known)
