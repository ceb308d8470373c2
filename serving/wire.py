"""uvicorn's HTTP protocol with two short ways: one write an answer, and the hot calls without an ASGI application.

For an answer of a few hundred bytes, uvicorn's two writes (head, then body: two packets, and a client that wakes up
twice), its task, scope and event take longer than all that is computed. Here the bytes of a hot call go to
`serving.hot` as soon as they have come, and its answer leaves as one write. What is not an ordinary hot call takes
uvicorn's own way; so do requests that were sent before the answer to the one before them.
"""

import asyncio
import logging
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from potluck.contract.errors import RequestError
from serving.answers import Body, error_body
from serving.edge import REQUEST_ID, Edge, Exchange
from serving.hot import HotCall, Target
from serving.tasks import answer_to
from serving.tasks import told as failure

logger = logging.getLogger("potluck.serving")

PROTOCOL = "serving.wire:ShortWayProtocol"
"""For uvicorn's option `http`."""
LARGEST_HOT_BODY = 1 << 16  # uvicorn stops reading at more, until somebody asks for it

Headers = list[tuple[bytes, bytes]]


class ShortWayProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.edge = self.app if isinstance(self.app, Edge) else None
        super().connection_made(CorkedTransport(transport, self.loop))  # type: ignore[arg-type]

    def on_headers_complete(self) -> None:
        hot = self.hot_cycle()
        if hot is None:
            super().on_headers_complete()
        else:
            self.cycle = hot  # type: ignore[assignment]

    def hot_cycle(self) -> "HotCycle | None":
        """The request as a hot call's, if it is one and no other request of this connection is being answered."""
        if self.edge is None or (self.cycle is not None and not self.cycle.response_complete):
            return None
        if self.expect_100_continue or self.parser.should_upgrade() or not self.url.isascii():
            return None
        length = body_length(self.headers)
        if length > LARGEST_HOT_BODY or b"%" in self.url or b"?" in self.url:
            return None
        exchange = Exchange(self.headers)
        found = self.edge.hot.find(self.parser.get_method(), self.url.decode(), exchange.request_id)
        if found is None or (length > 0) != (found[0].method == "POST"):
            return None
        return HotCycle(self, self.edge, exchange, *found)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if isinstance(self.cycle, HotCycle) and not self.cycle.begun:
            self.cycle.begin()

    def shutdown(self) -> None:
        """Whoever has not sent the whole of a request by now does not hold the server up."""
        if isinstance(self.cycle, HotCycle) and not self.cycle.begun:
            self.transport.close()
        else:
            super().shutdown()


class HotCycle:
    """A hot call on its way; to uvicorn a `RequestResponseCycle`, of which it has what a protocol asks for."""

    def __init__(
        self, protocol: ShortWayProtocol, edge: Edge, exchange: Exchange, call: HotCall, target: Target
    ) -> None:
        self.protocol, self.edge, self.exchange, self.call, self.target = protocol, edge, exchange, call, target
        self.keep_alive = protocol.parser.get_http_version() != "1.0" and protocol.parser.should_keep_alive()
        self.message_event = NOBODY_WAITS
        self.body = bytearray()
        self.more_body = True
        self.begun = self.disconnected = self.response_complete = False

    def begin(self) -> None:
        """Have it answered, its body being here."""
        self.begun = True
        self.exchange.endpoint = self.call.path
        self.exchange.service = self.call.label(self.target.service)
        try:
            self.edge.enter()
            self.call.begin(self.target, bytes(self.body), self.answered)
        except Exception as error:
            self.answered(failure(answer_to(error), self.target.request_id))

    def answered(self, outcome: Body | RequestError) -> None:
        """Send the answer, unless nobody is there any more, and let uvicorn go on with the connection."""
        status, body = told(outcome, self.target.request_id)
        if not self.disconnected:
            self.exchange.status = status
            self.protocol.transport.write(self.head(status, len(body)) + body)
        self.response_complete = True
        self.edge.leave(self.exchange)
        if not self.keep_alive:
            self.protocol.transport.close()
        self.protocol.on_response_complete()

    def head(self, status: int, length: int) -> bytes:
        return b"%b%bcontent-type: application/json\r\ncontent-length: %d\r\n%b: %b\r\n%b\r\n" % (
            status_line(status),
            b"".join([b"%b: %b\r\n" % header for header in self.protocol.server_state.default_headers]),
            length,
            REQUEST_ID,
            self.target.request_id.encode(),
            b"" if self.keep_alive else b"connection: close\r\n",
        )


class NobodyWaits:
    """In place of the event that wakes up an ASGI application."""

    def set(self) -> None:
        pass


NOBODY_WAITS = NobodyWaits()


class CorkedTransport:
    """A transport whose writes of one turn of the event loop leave as one; in all else the transport itself."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport, self.loop = transport, loop
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self.parts:
            self.loop.call_soon(self.flush)
        self.parts.append(data)

    def flush(self) -> None:
        parts, self.parts = self.parts, []
        if parts and not self.transport.is_closing():
            self.transport.write(b"".join(parts))

    def close(self) -> None:
        self.flush()
        self.transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


def body_length(headers: Headers) -> int:
    """Bytes of the body that these headers announce; more than any hot body where they don't say."""
    length = 0
    for name, value in headers:
        if name == b"content-length":
            length = int(value) if value.isdigit() else LARGEST_HOT_BODY + 1
        elif name == b"transfer-encoding":
            return LARGEST_HOT_BODY + 1
    return length


def told(outcome: Body | RequestError, request_id: str) -> tuple[int, bytes]:
    """Status and body of an answer."""
    if isinstance(outcome, RequestError):
        return outcome.status, to_json({**error_body(outcome), "request_id": request_id})
    return 200, to_json(outcome)


@cache
def status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
