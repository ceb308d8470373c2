"""The real nginx: too many calls, slow clients, and servers that are away."""

import contextlib
import json
import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from nginx import CONFIGURATION, ENDING, address, check_error, free_port, nginx

from potluck.contract.settings import Settings

HURRIED = {
    "client_header_timeout 10s": "client_header_timeout 1s",
    "client_body_timeout 10s": "client_body_timeout 1s",
}


@pytest.fixture(scope="module")
def record(iris: Any) -> dict[str, Any]:
    return dict(iris.population()[0])


def test_whoever_calls_too_often_is_told_to_wait(iris: Any, tmp_path: Path) -> None:
    slow = {
        "rate=200r/s": "rate=1r/s",
        "burst=100": "burst=4",
        "rate=10r/s": "rate=1r/m",
        "burst=20": "burst=1",
    }
    with nginx(tmp_path, [address(iris)], slow) as proxy, proxy.client() as client:
        answers = [client.get(f"/lookup/{iris.repo.batch}/1") for _ in range(12)]
        statuses = [answer.status_code for answer in answers]
        assert statuses[:5] == [200] * 5
        assert statuses.count(429) >= 4
        refused = answers[statuses.index(429)]
        check_error(refused, 429, "RATE_LIMITED")
        assert refused.headers["retry-after"] == "1"
        batches = [client.post(f"/lookup/{iris.repo.batch}", json={"ids": [1]}) for _ in range(3)]
        assert [answer.status_code for answer in batches] == [200, 200, 429]


def test_too_many_connections_of_one_address_are_refused(iris: Any, tmp_path: Path) -> None:
    few = {"limit_conn potluck_connections 128": "limit_conn potluck_connections 2"}
    with nginx(tmp_path, [address(iris)], few) as proxy, contextlib.ExitStack() as held:
        head = b"POST /predict/x HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"
        for _ in range(2):
            held.enter_context(proxy.connect()).sendall(head)
        deadline = time.monotonic() + 10
        with proxy.client() as client:
            # Until nginx has read both heads.
            while (answer := client.get("/services")).status_code == 200:
                assert time.monotonic() < deadline
        check_error(answer, 429, "RATE_LIMITED")


def test_without_a_server_the_answer_is_json(tmp_path: Path, iris: Any) -> None:
    with nginx(tmp_path, [f"127.0.0.1:{free_port()}"]) as proxy, proxy.client() as client:
        for answer in (
            client.get("/services"),
            client.post(f"/predict/{iris.repo.hybrid}", json={}),
        ):
            check_error(answer, 502, "UPSTREAM_UNAVAILABLE")
            assert answer.headers["retry-after"] == "1"


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        upstream = f"127.0.0.1:{silent.getsockname()[1]}"
        hurried = {"proxy_read_timeout 30s": "proxy_read_timeout 1s"}
        with nginx(tmp_path, [upstream], hurried) as proxy, proxy.client() as client:
            check_error(client.post("/predict/x", json={}), 504, "UPSTREAM_UNAVAILABLE")


def test_a_post_goes_on_to_a_server_that_is_there(iris: Any, record: Any, tmp_path: Path) -> None:
    with (
        nginx(tmp_path, [f"127.0.0.1:{free_port()}", address(iris)]) as proxy,
        proxy.client() as client,
    ):
        answers = [client.post(f"/predict/{iris.repo.hybrid}", json=record) for _ in range(10)]
        assert {answer.status_code for answer in answers} == {200}


def test_a_post_that_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    """Two servers that hang up in the middle of a request: only one of them is asked."""
    with contextlib.ExitStack() as open_sockets, ThreadPoolExecutor(2) as threads:
        opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        servers = [open_sockets.enter_context(server) for server in opened]
        for server in servers:
            server.settimeout(3)
        asked = [threads.submit(hang_up_on_one, server) for server in servers]
        upstreams = [f"127.0.0.1:{server.getsockname()[1]}" for server in servers]
        with nginx(tmp_path, upstreams) as proxy, proxy.client() as client:
            check_error(client.post("/predict/x", json={"a": 1}), 502, "UPSTREAM_UNAVAILABLE")
        assert sorted(future.result() for future in asked) == [0, 1]


def hang_up_on_one(server: socket.socket) -> int:
    """Read a request and close; answers how many came."""
    try:
        connection, _ = server.accept()
    except TimeoutError:
        return 0
    with connection:
        connection.recv(65536)
    return 1


def posts(stack: Any) -> float:
    """Requests to the service that the server has counted."""
    text = stack.get("/metrics").text
    found = re.findall(r'potluck_requests_total{endpoint="/predict[^}]*} (\S+)', text)
    return sum(map(float, found))


def test_the_server_never_sees_a_client_that_stops_in_the_middle(iris: Any, tmp_path: Path) -> None:
    halves = (
        b"POST /predict/x HTTP/1.1\r\nhost:",
        b"POST /predict/x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
    )
    before = posts(iris)
    with nginx(tmp_path, [address(iris)], HURRIED) as proxy:
        for half in halves:
            with proxy.connect() as connection:
                connection.sendall(half)
                assert ended(connection)
        assert posts(iris) == before


def ended(connection: ssl.SSLSocket) -> bool:
    """Whether the other side closes, or resets, within the socket's patience."""
    with contextlib.suppress(ConnectionResetError, ssl.SSLError):
        while connection.recv(65536):
            pass
    return True


def test_a_slow_client_that_goes_on_is_answered(iris: Any, record: Any, tmp_path: Path) -> None:
    body = json.dumps(record).encode()
    head = f"POST /predict/{iris.repo.hybrid} HTTP/1.1\r\ncontent-length: {len(body)}".encode()
    with nginx(tmp_path, [address(iris)]) as proxy, proxy.connect() as connection:
        for piece in (head, ENDING, body[:5], body[5:9], body[9:]):
            connection.sendall(piece)
            time.sleep(0.2)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_connections_to_the_server_are_given_up_before_the_server_does() -> None:
    (kept,) = re.findall(r"keepalive_timeout (\d+)s;\n}", CONFIGURATION.read_text())
    assert int(kept) < Settings.model_fields["idle_seconds"].default
