"""The real nginx with the example's configuration: what passes to a real server, and what not."""

import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from nginx import ENDING, ERROR, Nginx, address, check_error, nginx, raw_answer
from redis_servers import wait_until

MIB = 1 << 20


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
