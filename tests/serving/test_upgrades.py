"""A caller who offers HTTP/2 or a web socket is answered in HTTP/1.1, its body read and its
connection kept."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from raw_http import answer, chunked, connect, exchange, get, post

H2C = (
    "connection: Upgrade, HTTP2-Settings",
    "upgrade: h2c",
    "http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
)
WEB_SOCKET = (
    "connection: Upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: AAAA",
)

JAVA = """
import java.net.URI;
import java.net.http.*;
import java.net.http.HttpRequest.BodyPublishers;

class Ask {
    public static void main(String[] given) throws Exception {
        var client = HttpClient.newHttpClient();
        for (int time = 0; time < 3; time++) {
            var request = HttpRequest.newBuilder(URI.create(given[0])).POST(BodyPublishers.ofString(given[1])).build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.version() + " " + answer.body());
        }
    }
}
"""


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


@pytest.mark.parametrize("offer", [H2C, WEB_SOCKET], ids=["h2c", "web socket"])
@pytest.mark.parametrize("piece", [1, 7, 1 << 16])
def test_the_body_of_a_hot_call_is_read(
    iris: Any, path: str, record: bytes, expected: Any, offer: tuple[str, ...], piece: int
) -> None:
    request = post(path, record, *offer)
    parts = [request[start : start + piece] for start in range(0, len(request), piece)]
    status, headers, body = exchange(iris.port, *parts)
    assert (status, without_id(body)) == (200, expected)
    assert "connection" not in headers


@pytest.mark.parametrize("offer", [H2C, WEB_SOCKET], ids=["h2c", "web socket"])
def test_a_body_in_chunks_and_one_that_takes_the_router_are_read(
    iris: Any, path: str, record: bytes, expected: Any, offer: tuple[str, ...]
) -> None:
    with connect(iris.port) as client:
        client.sendall(
            post(path, chunked(record), "transfer-encoding: chunked", *offer, length=False)
        )
        assert without_id(answer(client)[2]) == expected
        client.sendall(post(f"{path}/batch", b'{"dataframe_records": [%b]}' % record, *offer))
        assert answer(client)[2]["predictions"] == [expected["prediction"]]
        client.sendall(post(f"{path}?details=false", record.ljust(1 << 17), *offer))
        assert without_id(answer(client)[2]) == expected


def test_requests_that_offer_it_one_after_the_other_keep_their_order(
    iris: Any, path: str, record: bytes
) -> None:
    requests = [
        post(path, record, *H2C, "x-request-id: a"),
        get("/livez", *H2C, "x-request-id: b"),
        post(path, b"{", *WEB_SOCKET, "x-request-id: c"),
        post(path, record, "x-request-id: d"),
        get("/readyz", *WEB_SOCKET, "x-request-id: e"),
        post(path, record, *H2C, "x-request-id: f"),
    ]
    with connect(iris.port) as client:
        client.sendall(b"".join(requests))
        answers = [answer(client) for _ in requests]
    assert [headers["x-request-id"] for _, headers, _ in answers] == list("abcdef")
    assert [status for status, _, _ in answers] == [200, 200, 422, 200, 200, 200]


@pytest.mark.parametrize(
    "headers",
    [
        ("transfer-encoding: chunked", "content-length: 5"),
        ("content-length: 5", "content-length: 6"),
        ("content-length: 5", "content-length: 5"),
        ("content-length: +5",),
        ("content-length: 5, 5",),
        ("content-length : 5",),
        ("transfer-encoding: chunked, identity",),
        ("transfer-encoding: chunked", "transfer-encoding: identity"),
        ("transfer-encoding: xchunked",),
        ("x: a\r\n folded: b", "content-length: 5"),
        ("x: a\nsmuggled: b", "content-length: 5"),
    ],
)
@pytest.mark.parametrize("offer", [(), H2C], ids=["plain", "h2c"])
def test_a_body_that_could_end_in_two_places_is_refused(
    iris: Any, path: str, headers: tuple[str, ...], offer: tuple[str, ...]
) -> None:
    inner = get("/livez", "x-request-id: smuggled")
    with connect(iris.port) as client:
        client.sendall(post(path, b"0\r\n\r\n" + inner, *offer, *headers, length=False))
        status, told, body = answer(client)
        assert (status, body["error_code"], told["connection"]) == (
            400,
            "MALFORMED_REQUEST",
            "close",
        )
        assert client.recv(1 << 16) == b""


def test_a_malformed_request_waits_for_the_answers_before_it(
    iris: Any, path: str, record: bytes, expected: Any
) -> None:
    with connect(iris.port) as client:
        client.sendall(post(path, record) + b"POST / HTTP/1.1\r\nno colon\r\n\r\n")
        assert without_id(answer(client)[2]) == expected
        assert answer(client)[0] == 400


def test_a_tunnel_is_refused(iris: Any) -> None:
    assert exchange(iris.port, b"CONNECT other:443 HTTP/1.1\r\nhost: other\r\n\r\n")[0] == 400


@pytest.mark.skipif(shutil.which("java") is None, reason="no java on this machine")
def test_javas_own_client_is_answered(
    iris: Any, path: str, record: bytes, expected: Any, tmp_path: Path
) -> None:
    source = tmp_path / "Ask.java"
    source.write_text(JAVA)
    command = ["java", str(source), iris.url + path, record.decode()]
    told = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True
    ).stdout.splitlines()
    assert len(told) == 3
    for line in told:
        status, version, body = line.split(" ", 2)
        assert (status, version) == ("200", "HTTP_1_1")
        assert without_id(json.loads(body)) == expected


def has_http2() -> bool:
    curl = shutil.which("curl")
    return (
        curl is not None
        and " HTTP2 " in subprocess.run([curl, "-V"], capture_output=True, text=True).stdout
    )


@pytest.mark.skipif(not has_http2(), reason="no curl that can offer HTTP/2 on this machine")
def test_curl_with_http2_is_answered(iris: Any, path: str, record: bytes, expected: Any) -> None:
    command = ["curl", "-s", "--http2", "--max-time", "20", "-d", record.decode(), iris.url + path]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert without_id(json.loads(told)) == expected
