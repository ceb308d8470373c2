"""A hot call on its way through a connection."""

from typing import TYPE_CHECKING

from potluck.contract.errors import RequestError
from serving.http.answer_bytes import head_of, told
from serving.http.answers import Body
from serving.http.edge import Edge, Exchange
from serving.http.hot import HotCall
from serving.http.target import Target
from serving.loop.tasks import answer_to, logged

if TYPE_CHECKING:
    from serving.http.wire import ShortWayProtocol


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
        self,
        protocol: "ShortWayProtocol",
        edge: Edge,
        exchange: Exchange,
        call: HotCall,
        target: Target,
    ) -> None:
        self.protocol, self.edge, self.exchange, self.call, self.target = (
            protocol,
            edge,
            exchange,
            call,
            target,
        )
        self.keep_alive = (
            protocol.parser.get_http_version() != "1.0" and protocol.parser.should_keep_alive()
        )
        self.message_event = NOBODY_WAITS
        self.body = bytearray()
        self.more_body = True
        self.begun = self.disconnected = self.response_complete = False

    def begin(self) -> None:
        """Have it answered, its body being here."""
        self.begun = True
        self.exchange.endpoint = self.call.path
        self.exchange.service = self.call.label(self.target.service)
        if self.edge.is_full():
            self.edge.refused_calls.add(self)
            return
        self.edge.enter()
        try:
            self.call.begin(self.target, bytes(self.body), self.answered)
        except Exception as error:
            self.answered(logged(answer_to(error), self.target.request_id))

    def answered(self, outcome: Body | RequestError) -> None:
        """Answer, and count it."""
        status, body = told(outcome, self.target.request_id)
        if not self.disconnected:
            self.exchange.status = status
        self.edge.leave(self.exchange)
        self.send(status, body)

    def send(self, status: int, body: bytes) -> None:
        """Send the answer, unless nobody is there any more, and let the connection go on."""
        protocol = self.protocol
        keep_alive = self.keep_alive and not (protocol.shared.draining and protocol.says_farewell())
        if not self.disconnected:
            given = protocol.server_state.default_headers
            head = head_of(status, len(body), given, self.target.request_id, keep_alive=keep_alive)
            protocol.corked.write_now(head + body)
        self.response_complete = True
        if not keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()


class NobodyWaits:
    """In place of the event that wakes up an ASGI application."""

    def set(self) -> None:
        pass


NOBODY_WAITS = NobodyWaits()
