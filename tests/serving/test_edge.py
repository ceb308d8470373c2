"""Overload, several workers, and what the server does with what nobody foresaw."""

import json
import os
from typing import Any

import pytest
from raw_http import answer, connect, post


def test_more_requests_than_the_server_takes_are_told_so(
    iris: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(iris), "environment", {**iris.environment, "POTLUCK_MAX_IN_FLIGHT": "1"}
    )
    with iris.second_server() as server:
        path = f"/predict/{server.repo.hybrid}"
        record = json.dumps(server.population()[0]).encode()
        seen = set()
        with connect(server.port) as one, connect(server.port) as other:
            for _ in range(500):
                for client in (one, other):
                    client.sendall(post(path, record))
                for client in (one, other):
                    status, headers, body = answer(client)
                    seen.add(status)
                    if status == 429:
                        assert (body["error_code"], headers["retry-after"]) == ("OVERLOADED", "1")
                        assert body["request_id"] == headers["x-request-id"]
                        assert "connection" not in headers
        assert seen == {200, 429}
        assert refusals(server) > 0
        assert server.get("/services").status_code == 200


def test_callers_who_are_still_sending_leave_the_others_their_place(
    iris: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(iris), "environment", {**iris.environment, "POTLUCK_MAX_IN_FLIGHT": "1"}
    )
    with iris.second_server() as server:
        path = f"/predict/{server.repo.hybrid}/batch"
        slow = [connect(server.port) for _ in range(5)]
        for client in slow:
            client.sendall(post(path, b'{"dataframe_records": []}')[:-5])
        for _ in range(20):
            assert server.get("/services").status_code == 200
        for client in slow:
            client.close()


def refusals(server: Any) -> float:
    """Requests that /metrics counts as refused."""
    text = server.get("/metrics").text.splitlines()
    counted = [
        line
        for line in text
        if line.startswith("potluck_requests_total") and 'status="429"' in line
    ]
    return sum(float(line.split()[-1]) for line in counted)


def answered(server: Any) -> float:
    """Hybrid requests that /metrics counts."""
    lines = server.get("/metrics").text.splitlines()
    counted = [
        line
        for line in lines
        if line.startswith("potluck_requests_total") and server.repo.hybrid in line
    ]
    return sum(float(line.split()[-1]) for line in counted if 'status="200"' in line)


def test_every_request_is_counted_once(iris: Any) -> None:
    row = iris.population()[0]
    before = answered(iris)
    for _ in range(5):
        iris.post(f"/predict/{iris.repo.hybrid}", row)
    assert answered(iris) == before + 5


def test_any_of_two_workers_tells_the_count_of_both(iris: Any) -> None:
    row = iris.population()[0]
    with iris.second_server("--workers", "2") as server:
        for _ in range(30):
            server.client.close()
            server.client = type(server.client)(timeout=30)
            assert server.post(f"/predict/{server.repo.hybrid}", row).status_code == 200
        assert answered(server) >= 30


def test_an_unforeseen_failure_is_answered_in_the_contracts_form(iris: Any) -> None:
    broken = "import serving.http.routes as r\nr.exposition = lambda: 1 / 0\nfrom cli.main import main\nmain()"
    with iris.second_server("--workers", "1", code=broken) as server:
        answer = server.get("/metrics")
        assert answer.status_code == 500
        assert answer.json()["error_code"] == "INTERNAL"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert "ZeroDivisionError" not in answer.text
        assert server.get("/livez").status_code == 200
    assert os.path.exists(iris.home / "server.log")
    assert "ZeroDivisionError" in (iris.home / "server.log").read_text()
