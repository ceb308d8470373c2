"""An answer leaves in one write, and whole, whatever its length and whoever closes the
connection."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import cast

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from potluck.contract.settings import Settings
from serving.http.edge import Edge
from serving.http.hot import HotCalls
from serving.http.transport import CorkedTransport
from serving.http.wire import PROTOCOL

LARGE = b"x" * 3_000_000


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    body = {"/large": LARGE, "/parts": b"first"}.get(scope["path"], b"small")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body, "more_body": scope["path"] == "/parts"})
    if scope["path"] == "/parts":
        await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"second"})


class NoHotCalls:
    def find(self, *_: object) -> None:
        return None

    def known(self, _: str) -> str:
        return ""


@contextmanager
def served(loop: str) -> Iterator[int]:
    web = FastAPI(openapi_url=None)
    web.mount("", app)
    edge = Edge(web, cast(HotCalls, NoHotCalls()), Settings())
    server = uvicorn.Server(
        uvicorn.Config(edge, port=0, http=PROTOCOL, loop=loop, lifespan="off", log_level="error")
    )
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


def exchange(port: int, path: str, version: str = "1.1", requests: int = 1) -> bytes:
    """All that the server sends until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        ask = f"GET {path} HTTP/{version}\r\nhost: x\r\n"
        client.sendall(
            (ask + "\r\n").encode() * (requests - 1) + (ask + "connection: close\r\n\r\n").encode()
        )
        parts = []
        while part := client.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with served(request.param) as number:
        yield number


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("path", "holds"), [("/small", b"small"), ("/large", LARGE), ("/parts", b"second")]
)
def test_an_answer_comes_whole_before_the_connection_closes(
    port: int, path: str, holds: bytes, version: str
) -> None:
    answer = exchange(port, path, version)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert holds in answer


def test_pipelined_requests_are_answered_in_their_order(port: int) -> None:
    assert exchange(port, "/small", requests=3).count(b"\r\n\r\n5\r\nsmall\r\n") == 3


class Recording(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True


@pytest.mark.parametrize("close", [False, True])
def test_the_writes_of_a_turn_leave_as_one(close: bool) -> None:
    async def run() -> Recording:
        transport = Recording()
        corked = CorkedTransport(transport, asyncio.get_running_loop())
        corked.write(b"head")
        corked.write(b"body")
        if close:
            corked.close()
        await asyncio.sleep(0)
        return transport

    transport = asyncio.run(run())
    assert transport.written == [b"headbody"]
    assert transport.closing == close


def test_what_is_written_to_a_lost_connection_is_dropped() -> None:
    async def run() -> Recording:
        transport = Recording()
        corked = CorkedTransport(transport, asyncio.get_running_loop())
        corked.write(b"head")
        transport.closing = True
        await asyncio.sleep(0)
        return transport

    assert asyncio.run(run()).written == []
