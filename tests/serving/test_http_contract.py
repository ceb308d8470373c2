"""Bad input to every endpoint gets the contract's error, never a 500, and harms no other row."""

import json
from typing import Any

import httpx
import pytest

MIB = 1 << 20


class Example:
    """Requests for one service of a stack, made from its own contract."""

    def __init__(self, stack: Any) -> None:
        self.stack = stack
        self.hybrid = f"/predict/{stack.repo.hybrid}"
        self.contract = stack.get(f"/services/{stack.repo.hybrid}").json()
        self.key = self.contract["entity"][0]
        self.good = stack.population()[0]
        self.required = self.named(
            lambda f: f["source"] == "request" and f["required"] and f["dtype"] != "string"
        )
        self.online = self.named(
            lambda f: f["source"] == "online" and f["dtype"] in ("float64", "int64")
        )
        self.computed = self.named(lambda f: f["source"] == "on-demand")
        dtype = next(f["dtype"] for f in self.contract["fields"] if f["source"] == "key")
        self.unknown_id: Any = "no such id" if dtype == "string" else 987654321

    def named(self, wanted: Any) -> str:
        return next(field["name"] for field in self.contract["fields"] if wanted(field))

    def changed(self, **fields: Any) -> dict[str, Any]:
        return {**self.good, **fields}

    def without(self, name: str) -> dict[str, Any]:
        return {key: value for key, value in self.good.items() if key != name}


@pytest.fixture
def example(stack: Any) -> Example:
    return Example(stack)


def check_error(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The contract's form of an error."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error_code", "message", "details", "request_id"}
    assert body["error_code"] == code
    assert body["message"]
    assert answer.headers["x-request-id"] == body["request_id"]
    assert all(set(detail) == {"field", "reason"} for detail in body["details"])
    assert "Traceback" not in answer.text
    return dict(body)


def reasons(body: dict[str, Any]) -> dict[str, str]:
    return {detail["field"]: detail["reason"] for detail in body["details"]}


def test_a_missing_required_field_is_named(example: Example) -> None:
    for name in (example.required, example.key):
        body = check_error(
            example.stack.post(example.hybrid, example.without(name)), 422, "SCHEMA_VALIDATION"
        )
        assert reasons(body) == {name: "required"}


@pytest.mark.parametrize("value", [True, "many", [], {}, None])
def test_a_wrong_type_is_named_and_its_value_not_echoed(example: Example, value: Any) -> None:
    answer = example.stack.post(example.hybrid, example.changed(**{example.required: value}))
    body = check_error(answer, 422, "SCHEMA_VALIDATION")
    assert set(reasons(body)) == {example.required}
    assert "many" not in answer.text


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_is_none_is_refused(example: Example, literal: bytes) -> None:
    text = (
        json.dumps(example.changed(**{example.online: 12345.5}))
        .encode()
        .replace(b"12345.5", literal)
    )
    check_error(example.stack.post(example.hybrid, text), 422, "SCHEMA_VALIDATION")


def test_all_reasons_are_told_at_once(example: Example) -> None:
    bad = example.changed(**{example.required: "x", example.online: True, "nobody_knows_me": 1})
    body = check_error(example.stack.post(example.hybrid, bad), 422, "SCHEMA_VALIDATION")
    assert set(reasons(body)) == {example.required, example.online, "nobody_knows_me"}


def test_a_computed_feature_can_not_be_sent(example: Example) -> None:
    body = check_error(
        example.stack.post(example.hybrid, example.changed(**{example.computed: 1.0})),
        422,
        "SCHEMA_VALIDATION",
    )
    assert "computed" in reasons(body)[example.computed]


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"5", b'"text"', b"\xff\xfe", b'{"a":1}{"b":2}', b"{" * 5000],
)
def test_a_body_that_is_no_record_is_refused(example: Example, text: bytes) -> None:
    for path in (example.hybrid, f"/predict/{example.stack.repo.realtime}"):
        check_error(example.stack.post(path, text), 422, "SCHEMA_VALIDATION")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b'{"page_id": secret}', "line 1, column 13: no value begins in this way"),
        (b'{"secret": None}', "line 1, column 13: no value is written in this way"),
        (b"page_id=1678", "line 1, column 1: no value begins in this way"),
        (b"{page_id: 1678}", "line 1, column 2: the name of a field stands in double quotes"),
        (b"{'page_id': 1678}", "line 1, column 2: the name of a field stands in double quotes"),
        (b'{\n "page_id": 1678,\n}', "line 3, column 1: no comma stands behind the last entry"),
        (b'{"page_id": 1678', "line 1, column 16: it ends too early"),
        (b'{"page_id": .5}', "line 1, column 13: no value begins in this way"),
        (b'{"page_id": 05}', "line 1, column 14: a number is not written in this way"),
        (b'{"page_id": 1} {}', "line 1, column 16: more follows behind its end"),
        (b'{"page_id": "\xff"}', "line 1, column 14: text is expected in UTF-8"),
        (b"[" * 5000, "it is nested too deeply"),
        (b" ", "the body is empty"),
    ],
)
def test_malformed_json_is_told_in_a_sentence_that_says_where(
    example: Example, text: bytes, where: str
) -> None:
    forms = {
        example.hybrid: '{"field": value, ...}',
        f"{example.hybrid}/batch": '{"dataframe_records": [{"field": value, ...}, ...]}',
        f"/lookup/{example.stack.repo.batch}": '{"ids": [id, ...]}',
    }
    for path, form in forms.items():
        answer = example.stack.post(path, text)
        message = check_error(answer, 422, "SCHEMA_VALIDATION")["message"]
        assert where in message
        assert message.endswith(f"expected one JSON object, {form}")
        assert "ident" not in message
        assert "secret" not in answer.text


@pytest.mark.parametrize("text", [b"[]", b"null", b"5", b'"text"'])
def test_a_record_that_is_no_object_is_told_what_one_is(example: Example, text: bytes) -> None:
    body = check_error(example.stack.post(example.hybrid, text), 422, "SCHEMA_VALIDATION")
    assert reasons(body) == {"": 'expected one JSON object, {"field": value, ...}'}


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'{"rows": []}', b'{"dataframe_records": {}, "x": 1}', b"\x00"],
)
def test_a_body_that_is_no_batch_is_refused(example: Example, text: bytes) -> None:
    check_error(example.stack.post(f"{example.hybrid}/batch", text), 422, "SCHEMA_VALIDATION")
    check_error(
        example.stack.post(f"/lookup/{example.stack.repo.batch}", text), 422, "SCHEMA_VALIDATION"
    )


def test_an_unknown_id_is_not_found(example: Example) -> None:
    record = example.changed(**{example.key: example.unknown_id})
    answer = example.stack.post(example.hybrid, record)
    if example.stack.repo.knows_strangers:
        assert answer.json()["not_found"] == [example.key]
    else:
        assert str(example.unknown_id) not in json.dumps(
            check_error(answer, 404, "ENTITY_NOT_FOUND")
        )
    path = f"/lookup/{example.stack.repo.batch}/{example.unknown_id}"
    check_error(example.stack.get(path), 404, "ENTITY_NOT_FOUND")


def test_an_unknown_service_is_not_found(example: Example) -> None:
    stack = example.stack
    for answer in (
        stack.post("/predict/nobody", example.good),
        stack.post("/predict/nobody/batch", {"dataframe_records": []}),
        stack.get("/lookup/nobody/1"),
        stack.post("/lookup/nobody", {"ids": []}),
        stack.get("/services/nobody"),
        stack.post(f"/predict/{stack.repo.batch}", example.good),
        stack.get(f"/lookup/{stack.repo.hybrid}/1"),
    ):
        check_error(answer, 404, "SERVICE_NOT_FOUND")


def test_too_large_a_body_is_refused(example: Example) -> None:
    two_mib = b'{"x": "' + b"a" * (2 * MIB) + b'"}'
    check_error(example.stack.post(example.hybrid, two_mib), 413, "BODY_TOO_LARGE")
    check_error(example.stack.post(example.hybrid, b" " * (2 * MIB)), 413, "BODY_TOO_LARGE")
    nine_mib = b'{"dataframe_records": ["' + b"a" * (9 * MIB) + b'"]}'
    check_error(example.stack.post(f"{example.hybrid}/batch", nine_mib), 413, "BODY_TOO_LARGE")


def test_who_is_answered_before_the_body_has_come_is_told_that_the_connection_ends(
    example: Example,
) -> None:
    for path in (example.hybrid, "/predict/nobody/batch", f"{example.hybrid}/batch"):
        answer = example.stack.post(path, b" " * (9 * MIB))
        assert answer.status_code in (404, 413)
        assert answer.headers["connection"] == "close"


def test_a_body_within_the_limit_of_a_batch_is_read(example: Example) -> None:
    padded = json.dumps({"dataframe_records": [example.good]}).encode() + b" " * (2 * MIB)
    assert example.stack.post(f"{example.hybrid}/batch", padded).json()["errors"] == []


def test_too_many_rows_are_refused(example: Example) -> None:
    rows = {"dataframe_records": [example.good] * 1001}
    check_error(example.stack.post(f"{example.hybrid}/batch", rows), 413, "BATCH_TOO_LARGE")
    check_error(
        example.stack.post(f"/lookup/{example.stack.repo.batch}", {"ids": [1] * 1001}),
        413,
        "BATCH_TOO_LARGE",
    )


def test_a_thousand_rows_are_answered(example: Example) -> None:
    body = example.stack.post(
        f"{example.hybrid}/batch", {"dataframe_records": [example.good] * 1000}
    ).json()
    assert len(body["predictions"]) == 1000
    assert len({json.dumps(prediction) for prediction in body["predictions"]}) == 1


def test_a_bad_row_harms_no_good_one(example: Example) -> None:
    alone = example.stack.post(example.hybrid, example.good).json()["prediction"]
    stranger = (
        example.good
        if example.stack.repo.knows_strangers
        else example.changed(**{example.key: example.unknown_id})
    )
    rows = [
        example.good,
        example.without(example.required),
        example.changed(**{example.required: True}),
        stranger,
        "no record",
        None,
        example.good,
    ]
    text = json.dumps(
        {"dataframe_records": [*rows, example.changed(**{example.online: 12345.5})]}
    ).replace("12345.5", "NaN")
    body = example.stack.post(f"{example.hybrid}/batch", text.encode()).json()
    refused = {} if stranger is example.good else {3: "ENTITY_NOT_FOUND"}
    codes = {error["row"]: error["error_code"] for error in body["errors"]}
    assert codes == dict.fromkeys([1, 2, 4, 5, 7], "SCHEMA_VALIDATION") | refused
    assert body["predictions"] == [None if row in codes else alone for row in range(8)]
    assert body["served_by"] == [None if row in codes else "hybrid" for row in range(8)]


def test_a_bad_id_harms_no_good_one(example: Example) -> None:
    good = example.good[example.key]
    alone = example.stack.get(f"/lookup/{example.stack.repo.batch}/{good}").json()["prediction"]
    body = example.stack.post(
        f"/lookup/{example.stack.repo.batch}", {"ids": [good, True, example.unknown_id, good]}
    ).json()
    assert body["predictions"] == [alone, None, None, alone]
    assert {e["row"]: e["error_code"] for e in body["errors"]} == {
        1: "SCHEMA_VALIDATION",
        2: "ENTITY_NOT_FOUND",
    }


def test_an_empty_batch_is_answered_empty(example: Example) -> None:
    assert (
        example.stack.post(f"{example.hybrid}/batch", {"dataframe_records": []}).json()[
            "predictions"
        ]
        == []
    )
    assert (
        example.stack.post(f"/lookup/{example.stack.repo.batch}", {"ids": []}).json()["predictions"]
        == []
    )


def test_a_sent_online_field_overrides_and_is_named(example: Example) -> None:
    answer = example.stack.post(example.hybrid, example.changed(**{example.online: 1})).json()
    assert answer["overridden"] == [example.online]
    assert (
        "overridden"
        not in example.stack.post(example.hybrid, example.changed(**{example.online: None})).json()
    )


def test_a_request_id_is_taken_and_echoed(example: Example) -> None:
    answer = example.stack.post(example.hybrid, example.good, headers={"x-request-id": "mine-1"})
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize("sent", ["", "a b", "x" * 300])
def test_a_request_id_that_can_not_be_sent_back_is_replaced(example: Example, sent: str) -> None:
    answer = example.stack.get("/livez", headers={"x-request-id": sent})
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] not in ("", sent)


def test_another_path_or_method_gets_the_same_form_of_error(example: Example) -> None:
    check_error(example.stack.get("/nowhere"), 404, "NOT_FOUND")
    check_error(example.stack.get(example.hybrid), 405, "METHOD_NOT_ALLOWED")


def test_probes_docs_and_metrics_answer(example: Example) -> None:
    assert example.stack.get("/livez").status_code == 200
    assert example.stack.get("/readyz").json()["online_store"] is True
    assert "potluck_requests_total" in example.stack.get("/metrics").text
    page = example.stack.get("/docs").text
    assert "swagger" in page.lower()
    assert "cdn" not in page.lower(), "the pages must work without a network"


def test_an_unknown_path_or_service_makes_no_metric_of_its_own(example: Example) -> None:
    example.stack.get("/made-up-path-17")
    example.stack.post("/predict/made-up-service-17", {})
    assert "made-up" not in example.stack.get("/metrics").text


def test_an_integer_key_may_come_as_text(houses: Any) -> None:
    example = Example(houses)
    as_number = houses.post(example.hybrid, example.good).json()["prediction"]
    as_text = houses.post(example.hybrid, example.changed(Id=str(example.good["Id"]))).json()[
        "prediction"
    ]
    assert as_number == as_text
    for bad in (1.5, True, "1.5", "x", "", None, 2**60):
        check_error(houses.post(example.hybrid, example.changed(Id=bad)), 422, "SCHEMA_VALIDATION")
    check_error(houses.get(f"/lookup/{houses.repo.batch}/x"), 422, "SCHEMA_VALIDATION")


def test_an_integer_key_may_come_as_pandas_sends_it_from_a_column_with_gaps(houses: Any) -> None:
    example = Example(houses)
    key = example.good["Id"]
    alone = houses.post(example.hybrid, example.good).json()["prediction"]
    forms = [float(key), f"{key}.0", f"{key}.000"]
    for form in forms:
        assert houses.post(example.hybrid, example.changed(Id=form)).json()["prediction"] == alone
    rows = {"dataframe_records": [example.changed(Id=form) for form in forms]}
    assert houses.post(f"{example.hybrid}/batch", rows).json()["predictions"] == [alone] * len(
        forms
    )
    lookup = f"/lookup/{houses.repo.batch}"
    stored = houses.get(f"{lookup}/{key}").json()
    again = houses.get(f"{lookup}/{key}.0").json()
    assert (again["prediction"], again["entity_id"]) == (stored["prediction"], key)
    assert houses.post(lookup, {"ids": forms}).json()["predictions"] == [
        stored["prediction"]
    ] * len(forms)


@pytest.mark.parametrize("sent", [1.5, "1.5", "1.0.0", "1.", ".0", "1e3", 1e300, "-0.5", "١"])
def test_an_id_that_is_no_whole_number_is_refused(houses: Any, sent: Any) -> None:
    example = Example(houses)
    check_error(houses.post(example.hybrid, example.changed(Id=sent)), 422, "SCHEMA_VALIDATION")
    body = houses.post(f"/lookup/{houses.repo.batch}", {"ids": [sent]}).json()
    assert [error["error_code"] for error in body["errors"]] == ["SCHEMA_VALIDATION"]


@pytest.mark.parametrize("sent", ["no/such/id", "%2F", "a%20b", "%00", "ü", "%ff"])
def test_a_text_key_may_be_any_text(breast_cancer: Any, sent: str) -> None:
    check_error(
        breast_cancer.get(f"/lookup/{breast_cancer.repo.batch}/{sent}"), 404, "ENTITY_NOT_FOUND"
    )


def test_a_category_that_training_never_saw_is_named(houses: Any) -> None:
    example = Example(houses)
    answer = houses.post(example.hybrid, example.changed(Neighborhood="Atlantis"))
    assert answer.status_code == 200
    assert answer.json()["unseen"] == ["Neighborhood"]
    body = houses.post(
        f"{example.hybrid}/batch",
        {"dataframe_records": [example.good, example.changed(Neighborhood="Atlantis")]},
    )
    assert body.json()["notes"] == [{"row": 1, "unseen": ["Neighborhood"]}]


def test_the_date_of_valuation_defaults_to_the_current_month(houses: Any) -> None:
    from datetime import UTC, datetime

    example = Example(houses)
    bare = {name: value for name, value in example.good.items() if name not in ("YrSold", "MoSold")}
    now = datetime.now(UTC)
    dated = {**bare, "YrSold": now.year, "MoSold": now.month}
    assert (
        houses.post(example.hybrid, bare).json()["prediction"]
        == houses.post(example.hybrid, dated).json()["prediction"]
    )
