"""The same story over three feature repos: one definition, three services."""

import csv
import json
from typing import Any

import pytest


def first(stack: Any) -> dict[str, Any]:
    return stack.population()[0]


def key_of(stack: Any) -> str:
    return stack.get(f"/services/{stack.repo.hybrid}").json()["entity"][0]


def test_realtime_answers_from_the_request_alone(stack: Any) -> None:
    record = {name: value for name, value in first(stack).items() if name != key_of(stack)}
    answer = stack.post(f"/predict/{stack.repo.realtime}", record)
    assert answer.status_code == 200
    assert answer.json()["served_by"] == "realtime"
    assert answer.json()["service"] == stack.repo.realtime


def test_hybrid_joins_the_request_with_the_store(stack: Any) -> None:
    fields = stack.get(f"/services/{stack.repo.hybrid}").json()["fields"]
    assert {field["source"] for field in fields} == {"key", "request", "online", "on-demand"}
    answer = stack.post(f"/predict/{stack.repo.hybrid}", first(stack)).json()
    assert answer["served_by"] == "hybrid"
    assert answer["prediction"] is not None


def test_a_looked_up_feature_changes_the_answer(stack: Any) -> None:
    """The hybrid model leans on what the store brings: other entities' records give other
    answers."""
    rows = stack.population()[:200]
    key = key_of(stack)
    swapped = [{**rows[0], key: row[key]} for row in rows]
    answers = stack.post(
        f"/predict/{stack.repo.hybrid}/batch", {"dataframe_records": swapped}
    ).json()
    assert len({json.dumps(value) for value in answers["predictions"]}) > 1


def test_precomputed_answers_by_id_alone(stack: Any) -> None:
    entity = first(stack)[key_of(stack)]
    answer = stack.get(f"/lookup/{stack.repo.batch}/{entity}").json()
    assert answer["entity_id"] == entity
    assert answer["as_of"] == "2026-06-01T00:00:00+00:00"
    assert answer["age_seconds"] > 0
    assert answer["model_version"]


def test_many_ids_come_from_one_run_in_their_order(stack: Any) -> None:
    ids = [row[key_of(stack)] for row in stack.population()[:50]]
    body = stack.post(f"/lookup/{stack.repo.batch}", {"ids": ids}).json()
    singly = [stack.get(f"/lookup/{stack.repo.batch}/{entity}").json() for entity in ids]
    assert body["predictions"] == [answer["prediction"] for answer in singly]
    assert {answer["run_id"] for answer in singly} == {body["run_id"]}


def test_classes_come_with_probabilities_and_numbers_without(stack: Any) -> None:
    contract = stack.get(f"/services/{stack.repo.hybrid}").json()
    answer = stack.post(f"/predict/{stack.repo.hybrid}", first(stack)).json()
    looked_up = stack.get(f"/lookup/{stack.repo.batch}/{first(stack)[key_of(stack)]}").json()
    if contract["objective"] == "regression":
        assert not {"probabilities"} & (set(answer) | set(looked_up))
        return
    for shares in (answer["probabilities"], looked_up["probabilities"]):
        assert set(shares) == set(contract["classes"])
        assert sum(shares.values()) == pytest.approx(1)
    assert answer["prediction"] == max(answer["probabilities"], key=answer["probabilities"].get)


def test_openapi_shows_each_services_typed_schema(stack: Any) -> None:
    paths = stack.get("/openapi.json").json()["paths"]
    body = paths[f"/predict/{stack.repo.hybrid}"]["post"]["requestBody"]["content"][
        "application/json"
    ]["schema"]
    fields = stack.get(f"/services/{stack.repo.hybrid}").json()["fields"]
    assert set(body["properties"]) == {f["name"] for f in fields if f["source"] != "on-demand"}
    assert set(body["required"]) == {
        f["name"]
        for f in fields
        if f["source"] == "key" or (f["source"] == "request" and f["required"])
    }
    assert f"/lookup/{stack.repo.batch}/{{entity_id}}" in paths
    assert body["additionalProperties"] is False


def test_services_lists_all_three(stack: Any) -> None:
    listed = {entry["service"]: entry for entry in stack.get("/services").json()["services"]}
    assert set(listed) == {
        stack.repo.realtime,
        stack.repo.hybrid,
        stack.repo.batch,
        *stack.repo.others,
    }
    assert listed[stack.repo.hybrid]["model_version"]


def test_the_published_run_exports_with_every_entity(stack: Any) -> None:
    target = stack.home / "predictions.csv"
    ended = stack.verb("export", stack.repo.batch, "--to", str(target), "--json")
    assert ended.returncode == 0, ended.stderr
    rows = list(csv.DictReader(target.open()))
    assert json.loads(ended.stdout)["rows"] == len(rows) == len(stack.population())
    assert list(rows[0]) == [key_of(stack), "prediction"]
    looked_up = stack.get(f"/lookup/{stack.repo.batch}/{rows[0][key_of(stack)]}").json()[
        "prediction"
    ]
    assert type(looked_up)(rows[0]["prediction"]) == looked_up
