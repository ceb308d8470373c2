"""A hot call on its way through a connection, and the bytes of its answer."""

from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from pydantic_core import to_json

from potluck.contract.errors import RequestError
from serving.answers import ASK_AGAIN, Body, error_body
from serving.edge import REQUEST_ID, Edge, Exchange
from serving.hot import HotCall, Target
from serving.tasks import answer_to, logged

if TYPE_CHECKING:
    from serving.wire import ShortWayProtocol

Headers = list[tuple[bytes, bytes]]


class HotCycle:
    """To uvicorn a `RequestResponseCycle`, of which it has what a protocol asks for."""

    __slots__ = (
        "begun",
        "body",
        "call",
        "disconnected",
        "edge",
        "exchange",
        "keep_alive",
        "message_event",
        "more_body",
        "protocol",
        "response_complete",
        "target",
    )

    def __init__(
        self, protocol: "ShortWayProtocol", edge: Edge, exchange: Exchange, call: HotCall, target: Target
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
            failed = logged(answer_to(error), self.target.request_id)
            self.answered(failed)

    def answered(self, outcome: Body | RequestError) -> None:
        """Send the answer, unless nobody is there any more, and let the connection go on."""
        protocol = self.protocol
        keep_alive = self.keep_alive and not (protocol.shared.draining and protocol.says_farewell())
        status, body = told(outcome, self.target.request_id)
        if not self.disconnected:
            self.exchange.status = status
            given = protocol.server_state.default_headers
            head = head_of(status, len(body), given, self.target.request_id, keep_alive=keep_alive)
            protocol.transport.write(head + body)
        self.response_complete = True
        self.edge.leave(self.exchange)
        if not keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()


class NobodyWaits:
    """In place of the event that wakes up an ASGI application."""

    def set(self) -> None:
        pass


NOBODY_WAITS = NobodyWaits()


def told(outcome: Body | RequestError, request_id: str) -> tuple[int, bytes]:
    """Status and body of an answer."""
    if isinstance(outcome, RequestError):
        return outcome.status, to_json({**error_body(outcome), "request_id": request_id})
    return 200, to_json(outcome)


def head_of(status: int, length: int, given: Headers, request_id: str, *, keep_alive: bool) -> bytes:
    """An answer's head.

    Args:
        given: headers of every answer, such as the date.
    """
    return b"%b%bcontent-type: application/json\r\ncontent-length: %d\r\n%b: %b\r\n%b\r\n" % (
        status_line(status),
        b"".join([b"%b: %b\r\n" % header for header in given]),
        length,
        REQUEST_ID,
        request_id.encode(),
        b"" if keep_alive else b"connection: close\r\n",
    )


@cache
def status_line(status: int) -> bytes:
    """With what a client needs to know of its status besides."""
    retry = b"retry-after: 1\r\n" if status in ASK_AGAIN else b""
    return b"HTTP/1.1 %d %b\r\n%b" % (status, HTTPStatus(status).phrase.encode(), retry)
