"""The real nginx with the example's configuration, in front of a real server."""

import contextlib
import json
import re
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from nginx import CONFIGURATION, Nginx, free_port, nginx
from redis_servers import wait_until

from potluck.contract.settings import Settings

MIB = 1 << 20
ENDING = b"\r\nhost: x\r\nconnection: close\r\n\r\n"
HURRIED = {
    "client_header_timeout 10s": "client_header_timeout 1s",
    "client_body_timeout 10s": "client_body_timeout 1s",
}
ERROR = {"error_code", "message", "details", "request_id"}


def address(stack: Any) -> str:
    return f"127.0.0.1:{stack.port}"


@pytest.fixture(scope="module")
def proxy(iris: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with nginx(tmp_path_factory.mktemp("nginx"), [address(iris)]) as running:
        yield running


@pytest.fixture(scope="module")
def client(proxy: Nginx) -> Iterator[httpx.Client]:
    with proxy.client() as open_client:
        yield open_client


@pytest.fixture(scope="module")
def record(iris: Any) -> dict[str, Any]:
    return dict(iris.population()[0])


def check_error(answer: httpx.Response, status: int, code: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (status, code)
    assert set(body) == ERROR
    assert body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def without_id(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    return {name: body[name] for name in body.keys() - {"request_id", "age_seconds"}}


def test_predictions_over_tls_are_the_same(client: httpx.Client, iris: Any, record: Any) -> None:
    rows = {"dataframe_records": [record, {}]}
    for path, body in (
        (f"/predict/{iris.repo.hybrid}", record),
        (f"/predict/{iris.repo.hybrid}/batch", rows),
        (f"/lookup/{iris.repo.batch}", {"ids": [1, 2, 10**9]}),
    ):
        over_tls = client.post(path, json=body)
        assert over_tls.status_code == 200
        assert without_id(over_tls) == without_id(iris.post(path, body))
    for path in (
        f"/lookup/{iris.repo.batch}/1",
        "/services",
        f"/services/{iris.repo.hybrid}",
        "/openapi.json",
    ):
        assert without_id(client.get(path)) == without_id(iris.get(path))


def test_an_error_of_the_server_passes_as_it_is(client: httpx.Client, iris: Any) -> None:
    for path, status, code in (
        (f"/predict/{iris.repo.hybrid}", 422, "SCHEMA_VALIDATION"),
        ("/predict/nobody", 404, "SERVICE_NOT_FOUND"),
    ):
        answer = client.post(path, json={"no such field": 1})
        check_error(answer, status, code)
        assert without_id(answer) == without_id(iris.post(path, {"no such field": 1}))


def test_a_request_id_goes_all_the_way(client: httpx.Client, iris: Any, proxy: Nginx) -> None:
    mine = {"x-request-id": "mine-17"}
    answer = client.post(f"/predict/{iris.repo.hybrid}", json={}, headers=mine)
    assert answer.headers.get_list("x-request-id") == ["mine-17"]
    assert answer.json()["request_id"] == "mine-17"
    wait_until(lambda: logged(proxy, "mine-17") == [422])


def logged(proxy: Nginx, request_id: str) -> list[int]:
    """The statuses that nginx has written down; it writes after it has answered."""
    lines = [json.loads(line) for line in (proxy.folder / "potluck.log").read_text().splitlines()]
    return [line["status"] for line in lines if line["request_id"] == request_id]


@pytest.mark.parametrize("sent", ["", "a b", 'quo"te', "back\\slash", "x" * 129])
def test_a_request_id_that_fits_no_json_is_replaced(client: httpx.Client, sent: str) -> None:
    answer = client.get("/nowhere", headers={"x-request-id": sent})
    check_error(answer, 404, "NOT_FOUND")
    assert answer.json()["request_id"] not in ("", sent)


def test_bodies_are_limited_as_the_server_limits_them(client: httpx.Client, iris: Any) -> None:
    single, batch = f"/predict/{iris.repo.hybrid}", f"/predict/{iris.repo.hybrid}/batch"
    for path, most in ((single, MIB), (batch, 8 * MIB)):
        assert iris.post(path, b" " * most).status_code == 422
        assert client.post(path, content=b" " * most).status_code == 422
        assert iris.post(path, b" " * (most + 1)).status_code == 413
        check_error(client.post(path, content=b" " * (most + 1)), 413, "BODY_TOO_LARGE")


def test_a_body_without_a_length_is_limited_too(client: httpx.Client, iris: Any) -> None:
    pieces = (b" " * 65536 for _ in range(20))
    check_error(client.post(f"/predict/{iris.repo.hybrid}", content=pieces), 413, "BODY_TOO_LARGE")


WITHIN = ["/", "/livez", "/readyz", "/metrics", "/docs"]
DISGUISED = [
    "//metrics",
    "/%6detrics",
    "/services/%2e%2e/metrics",
    "/predict/../metrics",
    "/predict/x/..%2f..%2fmetrics",
    "/services/../metrics",
    "/lookup/a/../../readyz",
]


@pytest.mark.parametrize("path", [*WITHIN, *DISGUISED])
def test_probes_and_metrics_are_not_public(proxy: Nginx, path: str) -> None:
    answer = raw_answer(proxy, b"GET %b HTTP/1.1" % path.encode() + ENDING)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error_code"] == "NOT_FOUND"


def raw_answer(proxy: Nginx, request: bytes) -> bytes:
    """Send bytes as they are; answers all that comes until the end of the connection."""
    with proxy.connect() as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_headers_for_browsers_and_none_that_tell_the_version(client: httpx.Client) -> None:
    answer = client.get("/services")
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["server"] == "nginx"
    assert "retry-after" not in answer.headers


def test_old_tls_and_plain_http_are_refused(proxy: Nginx) -> None:
    check = httpx.get(f"http://127.0.0.1:{proxy.port}/services")
    check_error(check, 400, "MALFORMED_REQUEST")
    old = proxy.trust
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", proxy.port)) as plain, pytest.raises(ssl.SSLError):
        old.wrap_socket(plain, server_hostname="127.0.0.1")


def test_too_long_headers_and_urls_are_refused_in_json(client: httpx.Client) -> None:
    check_error(client.get("/services", headers={"x-long": "a" * 9000}), 431, "HEADERS_TOO_LARGE")
    check_error(client.get("/services?" + "a" * 9000), 414, "URI_TOO_LONG")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [(b"GET /services HTTP/9.9", 505), (b"\x00\x01\x02", 400), (b"TRACE /services HTTP/1.1", 405)],
)
def test_what_is_no_call_gets_json_too(proxy: Nginx, request_line: bytes, status: int) -> None:
    head, _, body = raw_answer(proxy, request_line + ENDING).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert set(json.loads(body)) == ERROR


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


def test_a_slow_client_that_goes_on_is_answered(iris: Any, record: Any, proxy: Nginx) -> None:
    body = json.dumps(record).encode()
    head = f"POST /predict/{iris.repo.hybrid} HTTP/1.1\r\ncontent-length: {len(body)}".encode()
    with proxy.connect() as connection:
        for piece in (head, ENDING, body[:5], body[5:9], body[9:]):
            connection.sendall(piece)
            time.sleep(0.2)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_connections_to_the_server_are_given_up_before_the_server_does() -> None:
    (kept,) = re.findall(r"keepalive_timeout (\d+)s;\n}", CONFIGURATION.read_text())
    assert int(kept) < idle_seconds()


def idle_seconds() -> float:
    """After which the server closes: its setting; uvicorn's own until w-wire is merged."""
    field = Settings.model_fields.get("idle_seconds")
    return float(field.default) if field else uvicorn.Config("none:none").timeout_keep_alive
