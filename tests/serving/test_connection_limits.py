"""No caller holds a connection, its memory or a worker up: sent badly by hand, to a real server
with short limits."""

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from raw_http import answer, connect, get, post, refused

LIMITS = {
    "POTLUCK_HEADER_SECONDS": "0.4",
    "POTLUCK_BODY_SECONDS": "0.4",
    "POTLUCK_BODY_BYTES_PER_SECOND": "1000",
    "POTLUCK_IDLE_SECONDS": "1.5",
    "POTLUCK_UNREAD_SECONDS": "0.6",
    "POTLUCK_MAX_HEADER_BYTES": "16384",
    "POTLUCK_MAX_CONNECTIONS": "20",
    "POTLUCK_MAX_PIPELINED": "8",
}
MB = 1 << 20


@pytest.fixture(scope="module")
def server(iris: Any) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(iris), "environment", {**iris.environment, **LIMITS})
        with iris.second_server() as started:
            yield started


@pytest.fixture(autouse=True)
def calm(server: Any) -> Iterator[None]:
    """After each trial the server answers, and holds no more connections than before."""
    yield
    server.client.close()
    server.client = type(server.client)(timeout=30)
    deadline = time.monotonic() + 10
    while connections(server) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def metric(server: Any, pattern: str) -> float:
    found = re.search(rf"^{pattern} (\S+)$", server.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def closed(server: Any, reason: str) -> float:
    return metric(server, rf'potluck_connections_closed_total\{{reason="{reason}"\}}')


def connections(server: Any) -> float:
    return metric(server, "potluck_connections")


def resident(server: Any) -> int:
    """Bytes that the server's process holds in memory."""
    fields = Path(f"/proc/{server.process.pid}/statm").read_text().split()
    return int(fields[1]) * 4096


def record(server: Any) -> bytes:
    return json.dumps(server.population()[0]).encode()


def hybrid(server: Any) -> str:
    return f"/predict/{server.repo.hybrid}"


def send_slowly(client: socket.socket, data: bytes) -> None:
    """A byte at a time, until the server has had enough."""
    try:
        for number in range(len(data)):
            client.sendall(data[number : number + 1])
            time.sleep(0.02)
    except OSError:
        pass


def test_a_head_that_comes_byte_by_byte_is_given_up(server: Any) -> None:
    before = closed(server, "header_time")
    with connect(server.port) as client:
        send_slowly(client, get("/livez", "x: " + "a" * 100)[:100])
        assert refused(client) == (408, "REQUEST_TIMEOUT")
    assert closed(server, "header_time") == before + 1


@pytest.mark.parametrize("call", ["hot", "router"])
def test_a_body_that_comes_byte_by_byte_is_given_up(server: Any, call: str) -> None:
    before = closed(server, "body_time")
    with connect(server.port) as client:
        path = hybrid(server) if call == "hot" else f"{hybrid(server)}/batch"
        head, _, body = post(path, b" " * 1000).partition(b"\r\n\r\n")
        client.sendall(head + b"\r\n\r\n")
        send_slowly(client, body[:100])
        assert refused(client) == (408, "REQUEST_TIMEOUT")
    assert closed(server, "body_time") == before + 1
    assert metric(server, "potluck_requests_in_flight") <= 1


def test_a_large_body_may_take_its_time_while_it_comes(server: Any) -> None:
    body = b'{"dataframe_records": [%b]}' % record(server)
    request = post(f"{hybrid(server)}/batch", body.ljust(6000))
    with connect(server.port) as client:
        for start in range(0, len(request), 400):
            client.sendall(request[start : start + 400])
            time.sleep(0.1)
        assert answer(client)[0] == 200


def test_a_connection_without_a_request_is_closed_and_one_in_use_is_not(server: Any) -> None:
    before = closed(server, "idle_time")
    with connect(server.port) as idle, connect(server.port) as used, connect(server.port) as silent:
        idle.sendall(get("/livez"))
        assert answer(idle)[0] == 200
        for _ in range(8):
            used.sendall(get("/livez"))
            assert answer(used)[0] == 200
            time.sleep(0.4)
        assert idle.recv(1) == b""
        assert silent.recv(1) == b""
    assert closed(server, "idle_time") >= before + 2


def pour(client: socket.socket, piece: bytes, most: int) -> int:
    """Send a piece again and again; answers how many bytes went out before the server had
    enough."""
    sent = 0
    client.settimeout(5)
    try:
        while sent < most:
            sent += client.send(piece)
    except OSError:
        pass
    return sent


@pytest.mark.parametrize(
    ("begin", "piece", "status", "reason"),
    [
        (b"GET /livez HTTP/1.1\r\nx: ", b"a" * 65536, 431, "header_bytes"),
        (b"GET /livez HTTP/1.1\r\n", b"a: b\r\n" * 10000, 431, "header_bytes"),
        (b"GET /livez HTTP/1.1\r\n", b"a" * 65536, 431, "header_bytes"),
        (b"GET /", b"a" * 65536, 414, "url_bytes"),
        (
            b"POST /predict/x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;",
            b"a" * 65536,
            431,
            "header_bytes",
        ),
        (
            b"POST /predict/x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
            b"a" * 65536,
            431,
            "header_bytes",
        ),
    ],
    ids=[
        "one huge header",
        "many headers",
        "endless name",
        "huge url",
        "chunk extension",
        "trailer",
    ],
)
def test_an_endless_head_is_refused_and_not_kept(
    server: Any, begin: bytes, piece: bytes, status: int, reason: str
) -> None:
    before, held = closed(server, reason), resident(server)
    with connect(server.port) as client:
        client.sendall(begin)
        client.sendall(piece)
        told = answer(client)
        assert (told[0], told[1]["connection"]) == (status, "close")
        pour(client, piece, 50 * MB)
    assert closed(server, reason) == before + 1
    assert resident(server) < held + 20 * MB


@pytest.mark.parametrize("path", ["/predict/{}", "/predict/{}/batch"])
def test_an_announced_body_that_is_too_large_is_refused_before_it_comes(
    server: Any, path: str
) -> None:
    with connect(server.port) as client:
        client.sendall(
            post(path.format(server.repo.hybrid), b"", "content-length: 9000000", length=False)
        )
        assert refused(client) == (413, "BODY_TOO_LARGE")


def test_who_is_refused_behind_other_requests_gets_their_answers_first(server: Any) -> None:
    rows = b'{"dataframe_records": [%b]}' % record(server)
    large = post(f"{hybrid(server)}/batch", b"", "content-length: 9000000", length=False)
    fronts = [post(hybrid(server), record(server)), post(f"{hybrid(server)}/batch", rows)]
    for before in (fronts[:1], fronts[1:], fronts, fronts[::-1]):
        with connect(server.port) as client:
            client.sendall(b"".join(before) + large)
            assert [answer(client)[0] for _ in before] == [200] * len(before)
            assert refused(client) == (413, "BODY_TOO_LARGE")


def test_a_body_in_chunks_that_grows_too_large_is_refused_and_not_kept(server: Any) -> None:
    held = resident(server)
    with connect(server.port) as client:
        client.sendall(post(hybrid(server), b"", "transfer-encoding: chunked", length=False))
        pour(client, b"10000\r\n" + b" " * 65536 + b"\r\n", 50 * MB)
    with connect(server.port) as client:
        client.sendall(post(hybrid(server), b"", "transfer-encoding: chunked", length=False))
        for _ in range(17):
            client.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        assert answer(client)[0] == 413
        assert client.recv(1) == b""
    assert resident(server) < held + 20 * MB


def test_one_connection_too_many_is_told_so(server: Any) -> None:
    before = closed(server, "too_many")
    kept = [connect(server.port) for _ in range(20)]
    try:
        time.sleep(0.2)
        with connect(server.port) as client:
            assert refused(client) == (503, "TOO_MANY_CONNECTIONS")
    finally:
        for each in kept:
            each.close()
    time.sleep(0.2)
    assert closed(server, "too_many") > before


@pytest.mark.parametrize("kind", ["hot", "router"])
def test_who_sends_and_never_reads_is_stopped_and_not_kept(server: Any, kind: str) -> None:
    request = post(hybrid(server), record(server)) if kind == "hot" else get("/livez")
    before, held = closed(server, "unread_answers"), resident(server)
    callers = [connect(server.port, receive_bytes=8192) for _ in range(4)]
    for caller in callers:
        caller.sendall(
            get("/static-offline-docs/swagger-ui-bundle.js") * 12
        )  # the kernel keeps some MB of answers
    sent = [pour(caller, request * 100, 50 * MB) for caller in callers]
    assert max(sent) < 50 * MB
    assert resident(server) < held + 60 * MB
    deadline = time.monotonic() + 20
    while closed(server, "unread_answers") < before + 4:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for caller in callers:
        caller.close()


def test_a_hundred_requests_at_once_are_answered_in_order(server: Any) -> None:
    row = record(server)
    requests = [post(hybrid(server), row, f"x-request-id: {number}") for number in range(50)]
    requests += [get("/livez", f"x-request-id: {number}") for number in range(50, 100)]
    with connect(server.port) as client:
        client.sendall(b"".join(requests))
        answers = [answer(client) for _ in requests]
    assert [headers["x-request-id"] for _, headers, _ in answers] == [
        str(number) for number in range(100)
    ]
    assert {status for status, _, _ in answers} == {200}


def test_whoever_closes_the_way_out_after_a_request_gets_the_answer(server: Any) -> None:
    for request in (post(hybrid(server), record(server)), get("/readyz") * 3):
        with connect(server.port) as client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            assert answer(client)[0] == 200


def test_half_a_request_whose_caller_closed_the_way_out_is_dropped(server: Any) -> None:
    with connect(server.port) as client:
        client.sendall(post(f"{hybrid(server)}/batch", b"{}")[:-1])
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""


@pytest.mark.parametrize("target", ["http://x", "http://[", "http://x:1"])
@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_target_without_a_path_is_refused_in_our_form(
    server: Any, target: str, before: int
) -> None:
    with connect(server.port) as client:
        bad = f"GET {target} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
        client.sendall(post(hybrid(server), record(server)) * before + bad)
        assert [answer(client)[0] for _ in range(before)] == [200] * before
        assert refused(client) == (400, "MALFORMED_REQUEST")


def test_a_refusal_before_routing_echoes_the_callers_request_id(server: Any) -> None:
    large = post("/predict/x", b"", "x-request-id: mine", "content-length: 9000000", length=False)
    late = get("/livez", "x-request-id: mine", "x: y")[:-2]
    target = get("/livez", "x-request-id: mine").replace(b"/livez", b"http://x")
    for request, status in ((large, 413), (late, 408), (target, 400)):
        with connect(server.port) as client:
            client.sendall(request)
            told = answer(client)
            assert (told[0], told[1]["x-request-id"]) == (status, "mine")
            assert told[2]["request_id"] == "mine"


def test_a_refusal_between_requests_has_an_id_of_its_own(server: Any) -> None:
    with connect(server.port) as client:
        client.sendall(get("/livez", "x-request-id: former"))
        assert answer(client)[0] == 200
        client.sendall(b"\x00\x01")
        assert answer(client)[1]["x-request-id"] != "former"
