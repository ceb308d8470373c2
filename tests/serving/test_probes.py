"""Probes, pages and headers: what those see who watch, balance and ask again."""

import asyncio
import http.client
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from potluck.contract.settings import Settings
from serving.app import create_app


def raw(server: Any, method: str, path: str, host: str = "x") -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, headers={"host": host})
    answer = connection.getresponse()
    return (
        answer.status,
        {name.lower(): value for name, value in answer.getheaders()},
        answer.read(),
    )


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_a_probe_answers_head_as_it_answers_get_but_for_the_body(iris: Any, path: str) -> None:
    status, headers, body = raw(iris, "HEAD", path)
    expected = raw(iris, "GET", path)
    assert (status, body) == (200, b"")
    assert headers["content-type"] == expected[1]["content-type"]
    assert int(headers["content-length"]) > 0


def test_a_head_leaves_the_connection_in_step(iris: Any) -> None:
    with socket.create_connection(("127.0.0.1", iris.port), timeout=20) as client:
        client.sendall(
            b"HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\nGET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        text = b""
        while part := client.recv(4096):
            text += part
    assert text.count(b"HTTP/1.1 200 OK") == 2
    assert text.count(b'{"status":"alive"}') == 1


@pytest.mark.parametrize(
    "path", ["/services/", "/livez/", "/docs/", "/predict/x/batch/", "/static-offline-docs"]
)
def test_nobody_is_sent_to_a_place_that_the_caller_named(iris: Any, path: str) -> None:
    status, headers, body = raw(iris, "GET", path, host="evil.example")
    assert status == 404
    assert "location" not in headers
    assert b"evil" not in body


def test_where_redis_does_not_answer_it_is_told_when_to_ask_again(
    iris: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = {**iris.environment, "REDIS_URL": f"unix://{iris.home}/nobody.sock"}
    monkeypatch.setattr(type(iris), "environment", nobody)
    row = iris.population()[0]
    with iris.second_server() as server:
        key = next(iter(row.values()))
        answers = [
            server.post(f"/predict/{server.repo.hybrid}", row),
            server.post(f"/predict/{server.repo.hybrid}?details=false", row),
            server.post(f"/predict/{server.repo.hybrid}/batch", {"dataframe_records": [row]}),
            server.get(f"/lookup/{server.repo.batch}/{key}"),
            server.post(f"/lookup/{server.repo.batch}", {"ids": [key]}),
        ]
    assert [answer.status_code for answer in answers] == [503] * 5
    assert [answer.headers.get("retry-after") for answer in answers] == ["1"] * 5


def test_a_server_without_a_model_is_not_ready_and_says_when_to_ask_again(tmp_path: Path) -> None:
    async def ask() -> httpx.Response:
        app = create_app(Settings(home=tmp_path))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://potluck"
        ) as client:
            return await client.get("/readyz")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_the_document_of_all_services_is_made_once_for_a_set_of_champions(iris: Any) -> None:
    code = """
import serving.http.openapi as o
made = o.openapi_document
async def counted(*arguments):
    open("documents.txt", "a").write("made\\n")
    return await made(*arguments)
o.openapi_document = counted
from cli.main import main
main()
"""
    with iris.second_server("--workers", "1", code=code) as server:
        first, second = server.get("/openapi.json"), server.get("/openapi.json")
        assert first.content == second.content
        assert f"/predict/{server.repo.hybrid}" in first.json()["paths"]
    assert (iris.home / "documents.txt").read_text() == "made\n"
