"""`details`: where each feature of an answer came from, and how old it was."""

from datetime import UTC, datetime
from typing import Any

import pytest

from potluck.contract.redis_format import (
    encode_timestamp,
    encode_value,
    entity_key_maker,
    timestamp_field,
)
from potluck.redis.embedded import client
from potluck.scoring.releases import Releases

SOURCES = {"request", "online", "on-demand", "default", "overridden"}


def asked(stack: Any, record: dict[str, Any], path: str = "?details=true") -> dict[str, Any]:
    answer = stack.post(f"/predict/{stack.repo.hybrid}{path}", record)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_without_it_the_answer_stays_as_it_is(stack: Any) -> None:
    record = stack.population()[0]
    plain, detailed = asked(stack, record, ""), asked(stack, record)
    for name in ("features", "bundle", "definition"):
        assert name not in plain
        del detailed[name]
    assert {**plain, "request_id": ""} == {**detailed, "request_id": ""}
    assert "features" not in asked(stack, record, "?details=false")


def test_every_feature_has_a_value_and_a_source(stack: Any) -> None:
    record = stack.population()[0]
    answer = asked(stack, record)
    described = stack.get(f"/services/{stack.repo.hybrid}").json()["fields"]
    names = {field["name"] for field in described if field["source"] != "key"}
    assert answer["features"].keys() == names
    for feature in answer["features"].values():
        assert feature["source"] in SOURCES
        is_looked_up = feature["source"] == "online" or "status" in feature
        assert is_looked_up == ("age_seconds" in feature)
    release = Releases(stack.settings.releases).champion(stack.repo.hybrid)
    assert answer["bundle"] == release.digest
    assert len(answer["definition"]) == 64


def test_values_are_told_by_where_they_came_from(houses: Any) -> None:
    record = {**houses.population()[0], "OverallQual": 3, "Alley": None}
    features = asked(houses, record)["features"]
    assert features["OverallQual"] == {"value": 3, "source": "overridden"}
    assert features["LotArea"] == {"value": record["LotArea"], "source": "request"}
    assert features["Alley"] == {"value": "None", "source": "default"}
    assert features["GrLivArea"]["source"] == "online"
    assert features["GrLivArea"]["status"] == "PRESENT"
    assert features["GrLivArea"]["age_seconds"] > 0
    assert any(feature["source"] == "on-demand" for feature in features.values())


@pytest.fixture
def stranger(houses: Any) -> Any:
    """An entity that a test writes itself: what is stored for it by field name."""
    redis = client(houses.settings)
    releases = Releases(houses.settings.releases)
    contract = releases.contract(releases.champion(houses.repo.hybrid))
    (view,) = contract.views
    key = entity_key_maker(contract.project, ["Id"], ["int64"])([987654])

    def store(event_time: datetime, **values: Any) -> dict[str, Any]:
        dtypes = {field.name: field.dtype for field in contract.online}
        fields = dict(zip(view.features, map(bytes.fromhex, view.field_ids), strict=True))
        stored = {fields[name]: encode_value(value, dtypes[name]) for name, value in values.items()}
        stamp = {timestamp_field(view.name).encode(): encode_timestamp(event_time)}
        redis.hset(key, mapping={**stored, **stamp})
        return {**houses.population()[0], "Id": 987654}

    yield store
    redis.delete(key)


def test_a_null_is_told_from_a_value_and_the_age_is_that_of_the_record(
    houses: Any, stranger: Any
) -> None:
    event_time = datetime(2020, 5, 17, 12, tzinfo=UTC)
    record = stranger(event_time, GrLivArea=None, OverallQual=7)
    before = datetime.now(UTC)
    features = asked(houses, record)["features"]
    after = datetime.now(UTC)
    assert features["GrLivArea"]["status"] == "NULL_VALUE"
    assert features["GrLivArea"]["value"] is None
    assert features["OverallQual"]["status"] == "PRESENT"
    assert features["OverallQual"]["value"] == 7
    assert features["OverallQual"]["event_time"] == event_time.isoformat()
    age = features["OverallQual"]["age_seconds"]
    assert (before - event_time).total_seconds() - 1 <= age
    assert age <= (after - event_time).total_seconds() + 1


def test_a_view_without_a_record_and_a_stale_one_are_told(everything: Any) -> None:
    found = set()
    for record in everything.population()[:60]:
        answer = everything.post(f"/predict/{everything.repo.hybrid}?details=true", record)
        for feature in answer.json().get("features", {}).values():
            if feature.get("status") in ("NOT_FOUND", "OUTSIDE_MAX_AGE"):
                assert feature["source"] in ("online", "default")
            found.add(feature.get("status"))
    assert "PRESENT" in found


def test_a_batch_tells_row_by_row(iris: Any) -> None:
    good, other = iris.population()[:2]
    rows = [good, {**good, "flower_id": 987654321}, other]
    body = {"dataframe_records": rows, "details": True}
    answer = iris.post(f"/predict/{iris.repo.hybrid}/batch", body).json()
    first, unknown, last = answer["features"]
    assert unknown is None
    for record, features in ((good, first), (other, last)):
        alone = asked(iris, record)["features"]
        assert without_age(features) == without_age(alone)


def without_age(features: dict[str, Any]) -> dict[str, Any]:
    """Two requests are not made at the same moment."""
    return {name: {**each, "age_seconds": None} for name, each in features.items()}


@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("details=yes", "details", "expected true or false"),
        ("details", "details", "expected true or false"),
        ("detail=true", "detail", "no such option; there are: details"),
    ],
)
def test_an_option_that_there_is_not_is_refused(
    iris: Any, query: str, field: str, reason: str
) -> None:
    path = f"/predict/{iris.repo.hybrid}"
    answer = iris.post(f"{path}?{query}", iris.population()[0])
    assert answer.status_code == 422
    assert answer.json()["details"] == [{"field": field, "reason": reason}]


@pytest.mark.parametrize("beside", [{"details": "true"}, {"details": 1}, {"detail": True}])
def test_a_batch_refuses_it_too(iris: Any, beside: dict[str, Any]) -> None:
    body = {"dataframe_records": [iris.population()[0]], **beside}
    answer = iris.post(f"/predict/{iris.repo.hybrid}/batch", body)
    assert answer.status_code == 422
    assert answer.json()["error_code"] == "SCHEMA_VALIDATION"


def test_the_openapi_document_tells_of_it(iris: Any) -> None:
    document = iris.get("/openapi.json").json()
    one = document["paths"][f"/predict/{iris.repo.hybrid}"]["post"]
    assert [parameter["name"] for parameter in one["parameters"]] == ["details"]
    batch = document["paths"][f"/predict/{iris.repo.hybrid}/batch"]["post"]
    properties = batch["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert "details" in properties
