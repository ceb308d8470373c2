"""However a hot call's bytes arrive, its answer is the same; and whoever sends them badly harms
nobody."""

import json
import subprocess
from typing import Any

import pytest
from raw_http import answer, chunked, connect, exchange, post


@pytest.fixture
def record(iris: Any) -> bytes:
    return json.dumps(iris.population()[0]).encode()


@pytest.fixture
def path(iris: Any) -> str:
    return f"/predict/{iris.repo.hybrid}"


@pytest.fixture
def expected(iris: Any, path: str, record: bytes) -> Any:
    return without_id(iris.post(path, record).json())


def without_id(body: Any) -> Any:
    assert body.pop("request_id")
    return body


def test_a_body_in_chunks(iris: Any, path: str, record: bytes, expected: Any) -> None:
    status, _, body = exchange(
        iris.port, post(path, chunked(record), "transfer-encoding: chunked", length=False)
    )
    assert (status, without_id(body)) == (200, expected)


def test_a_request_in_single_bytes(iris: Any, path: str, record: bytes, expected: Any) -> None:
    request = post(path, record)
    status, _, body = exchange(iris.port, *(request[at : at + 1] for at in range(len(request))))
    assert (status, without_id(body)) == (200, expected)


@pytest.mark.parametrize("size", [(1 << 16) - 1, 1 << 16, (1 << 16) + 1, 1 << 20])
def test_a_body_with_much_white_space(
    iris: Any, path: str, record: bytes, expected: Any, size: int
) -> None:
    status, _, body = exchange(iris.port, post(path, record.ljust(size)))
    assert (status, without_id(body)) == (200, expected)


@pytest.mark.parametrize("form", ["{}?details=false", "{}?", "/predict/%69ris_hybrid"])
def test_a_path_that_is_written_otherwise(
    iris: Any, path: str, record: bytes, expected: Any, form: str
) -> None:
    status, _, body = exchange(iris.port, post(form.format(path), record))
    assert (status, without_id(body)) == (200, expected)


@pytest.mark.parametrize(("version", "header"), [("1.0", "x: y"), ("1.1", "connection: close")])
def test_a_client_that_wants_no_more(
    iris: Any, path: str, record: bytes, expected: Any, version: str, header: str
) -> None:
    with connect(iris.port) as client:
        client.sendall(post(path, record, header, version=version))
        status, headers, body = answer(client)
        assert (status, without_id(body)) == (200, expected)
        assert headers["connection"] == "close"
        assert client.recv(1) == b""


def test_expect_100_continue(iris: Any, path: str, record: bytes, expected: Any) -> None:
    with connect(iris.port) as client:
        head, _, body = post(path, record, "expect: 100-continue").partition(b"\r\n\r\n")
        client.sendall(head + b"\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert without_id(answer(client)[2]) == expected


def test_requests_that_do_not_wait_are_answered_in_their_order(
    iris: Any, path: str, record: bytes
) -> None:
    entity = next(iter(iris.population()[0].values()))
    looked_up = f"GET /lookup/{iris.repo.batch}/{entity} HTTP/1.1\r\nhost: x\r\n".encode()
    requests = [
        post(path, record, "x-request-id: a"),
        post(path, b"{", "x-request-id: b"),
        looked_up + b"x-request-id: c\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\nx-request-id: d\r\n\r\n",
        post(path, record, "x-request-id: e"),
    ]
    with connect(iris.port) as client:
        client.sendall(b"".join(requests))
        answers = [answer(client) for _ in requests]
    assert [headers["x-request-id"] for _, headers, _ in answers] == list("abcde")
    assert [status for status, _, _ in answers] == [200, 422, 200, 200, 200]


def test_one_connection_serves_many(iris: Any, path: str, record: bytes, expected: Any) -> None:
    with connect(iris.port) as client:
        for _ in range(50):
            client.sendall(post(path, record))
            assert without_id(answer(client)[2]) == expected


def test_who_leaves_before_the_answer_harms_nobody(
    iris: Any, path: str, record: bytes, expected: Any
) -> None:
    for request in (post(path, record), post(path, record)[:-5], post(path, record)[:30]):
        for _ in range(20):
            with connect(iris.port) as client:
                client.sendall(request)
    assert without_id(iris.post(path, record).json()) == expected


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_another_method_is_refused(iris: Any, path: str, method: str) -> None:
    status, headers, body = exchange(
        iris.port, f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    )
    assert (status, headers["allow"], body["error_code"]) == (405, "POST", "METHOD_NOT_ALLOWED")


def test_an_empty_body_is_refused(iris: Any, path: str) -> None:
    status, _, body = exchange(iris.port, post(path, b""))
    assert (status, body["error_code"]) == (422, "SCHEMA_VALIDATION")


@pytest.mark.parametrize("header", ["content-length: x", "content-length: -1"])
def test_a_length_that_is_none_is_refused_by_the_parser(iris: Any, path: str, header: str) -> None:
    with connect(iris.port) as client:
        client.sendall(post(path, b"{}", header, length=False))
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
    assert iris.get("/livez").status_code == 200


def test_a_failure_of_the_server_is_told_in_the_contracts_form(iris: Any, record: bytes) -> None:
    broken = "import potluck.scoring.plan as p\np.Plan.score = lambda *_: 1 / 0\nfrom cli.main import main\nmain()"
    with iris.second_server("--workers", "1", code=broken) as server:
        answered = server.post(f"/predict/{server.repo.hybrid}", record)
        assert (answered.status_code, answered.json()["error_code"]) == (500, "INTERNAL")
        assert answered.json()["request_id"] == answered.headers["x-request-id"]
        assert "ZeroDivisionError" not in answered.text
        assert server.get("/livez").status_code == 200
    assert "ZeroDivisionError" in (iris.home / "server.log").read_text()


def test_half_a_request_does_not_hold_the_servers_end_up(
    iris: Any, path: str, record: bytes
) -> None:
    with iris.second_server() as server:
        client = connect(server.port)
        client.sendall(post(path, record)[:-5])
        while server.get("/livez").status_code != 200:
            pass
        server.process.terminate()
        try:
            server.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            pytest.fail("the server waits for the rest of a request")
        finally:
            client.close()
