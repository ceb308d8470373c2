"""uvicorn's HTTP protocol with two short ways, and with limits for what a caller may send.

For an answer of a few hundred bytes, uvicorn's two writes (head, then body: two packets, and a client that wakes up
twice), its task, scope and event take longer than all that is computed. Here the bytes of a hot call go to
`serving.hot` as soon as they have come, and its answer leaves as one write. What is not an ordinary hot call takes
uvicorn's own way; so do requests that were sent before the answer to the one before them.

What comes is parsed in slices, so that a caller who sends a thousand requests at once has only a few of them waiting:
reading goes on when these are answered, and their answers are read.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from potluck.contract.errors import (
    BodyTooLarge,
    HeadersTooLarge,
    MalformedRequest,
    RequestError,
    RequestTimeout,
    TooManyConnections,
    UriTooLong,
)
from serving.connections import BODY, HEAD, IDLE, LINGERING, REASONS, SPARE, UNREAD, Mark, closed
from serving.cycle import Headers, HotCycle, head_of, told
from serving.edge import Exchange, edge_of, new_request_id
from serving.routes import LARGEST_BATCH_BODY
from serving.transport import CorkedTransport, Gate

PROTOCOL = "serving.wire:ShortWayProtocol"
"""For uvicorn's option `http`."""
LARGEST_HOT_BODY = 1 << 16  # uvicorn stops reading at more, until somebody asks for it
SLICE = 4096
UNKNOWN = 1 << 62
WHOLE = "whole"
"""Neither the head nor the body of a request has come in part."""
NOTHING = memoryview(b"")


class ShortWayProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.edge = edge_of(self.app)
        self.shared = self.edge.connections
        self.comes = WHOLE
        self.messages = self.overhead = self.delivered = 0
        self.unread = NOTHING
        self.announced = 0
        self.ends = False
        self.last_words = b""
        self.declined = b""

    # what comes, and whether more may come

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.corked = CorkedTransport(transport, self.loop, self.lingers)
        super().connection_made(self.corked)  # type: ignore[arg-type]
        self.flow: Gate = Gate(self.transport)
        self.shared.add(self)
        if self.shared.excess > SPARE:
            closed("too_many")
            transport.abort()
        elif self.shared.excess > 0:
            error = TooManyConnections("the server keeps as many connections open as it may; ask again shortly")
            self.refuse(error, "too_many")

    def connection_lost(self, exc: Exception | None) -> None:
        self.shared.remove(self)
        self.unread = NOTHING
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.last_words or self.transport.is_closing():
            return  # nobody will answer it
        if len(data) <= SLICE and not self.unread:
            self.feed(data)
        else:
            self.unread = memoryview(bytes(self.unread) + data if self.unread else data)
            self.go_on()

    def go_on(self) -> None:
        """Parse what lies here as far as there is room for more requests; a turn of the event loop for each slice."""
        while self.unread and not self.is_full() and not self.last_words:
            part, self.unread = self.unread[:SLICE], self.unread[SLICE:]
            self.feed(part)
            if self.unread and self.comes != BODY:
                self.loop.call_soon(self.go_on)
                break
        held = bool(self.unread) or self.is_full()
        if held != self.flow.held and not self.transport.is_closing():
            self.flow.hold(held)
        self.settle()

    def is_full(self) -> bool:
        return self.flow.write_paused or len(self.pipeline) >= self.shared.settings.max_pipelined

    def feed(self, data: bytes | memoryview) -> None:
        try:
            self.parse(data)
        except httptools.HttpParserError:
            self.refuse(MalformedRequest("the bytes are no request in HTTP/1.1; the connection ends here"), "malformed")
        if self.comes != WHOLE:
            self.overhead += len(data)
            if self.overhead > self.shared.settings.max_header_bytes:
                self.refuse_head()

    def parse(self, data: bytes | memoryview) -> None:
        """Feed the parser; an offer to go on in another protocol is declined, as HTTP allows.

        The parser would leave a body to the other protocol. So the request's head is told to a new one without it.
        """
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(self.declined)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.go_on()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.loop.call_soon(self.go_on)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answers whether the way out stays open: whoever sent a whole request may close theirs."""
        self.ends = self.comes == WHOLE and not self.is_idle() and not self.transport.is_closing()
        return self.ends

    # the parser's calls

    def on_message_begin(self) -> None:
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self.comes = HEAD
        self.messages += 1
        self.overhead = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.comes == HEAD:  # what follows a body in chunks is nobody's
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self.decline()
            return
        self.comes = BODY
        self.overhead = 0
        hot = self.hot_cycle()
        if hot is None:
            self.begin_cycle()
        else:
            self.cycle = hot  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self.overhead = 0
        self.delivered += len(body)
        cycle = self.cycle
        if cycle.response_complete or self.last_words:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self.comes != BODY:
            return  # the head of a request that is told anew
        self.comes = WHOLE
        cycle = self.cycle
        if not cycle.response_complete:
            cycle.more_body = False
            if isinstance(cycle, HotCycle):
                cycle.begin()
            else:
                cycle.message_event.set()

    # requests and answers

    def hot_cycle(self) -> HotCycle | None:
        """The request as a hot call's, if it is one and no other request of this connection is being answered."""
        self.announced = length = body_length(self.headers)
        if self.cycle is not None and not self.cycle.response_complete:
            return None
        if self.expect_100_continue or not self.url.isascii():
            return None
        if length > LARGEST_HOT_BODY or b"%" in self.url or b"?" in self.url:
            return None
        exchange = Exchange(self.headers)
        found = self.edge.hot.find(self.parser.get_method(), self.url.decode(), exchange.request_id)
        if found is None or (length > 0) != (found[0].method == "POST"):
            return None
        return HotCycle(self, self.edge, exchange, *found)

    def begin_cycle(self) -> None:
        """Begin uvicorn's own cycle, with the scope that it makes of each message."""
        url, headers, expects, before = self.url, self.headers, self.expect_100_continue, self.cycle
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # the scope holds this list
        super().on_headers_complete()
        if LARGEST_BATCH_BODY < self.announced < UNKNOWN:
            error = BodyTooLarge(f"a body has at most {LARGEST_BATCH_BODY} bytes; send several calls")
            self.refuse(error, "body_bytes")
        elif self.shared.draining:
            self.announce_end(before)

    def announce_end(self, before: Any) -> None:
        """While the server ends, the last request of a connection that has come is the one whose answer says so."""
        if isinstance(before, RequestResponseCycle) and not before.response_started:
            before.keep_alive = before.scope["http_version"] == "1.1"
        if not self.unread:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Go on with the next request; instead of uvicorn's timer for each, `Connections` sees who is idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.comes == BODY and self.cycle.response_complete and self.announced > LARGEST_HOT_BODY:
            self.transport.close()  # rather than to read over the rest
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.ends or self.last_words:
            self.settle()
        if self.flow.read_paused:
            self.flow.resume_reading()
            self.loop.call_soon(self.go_on)

    def settle(self) -> None:
        """Close, if all that came is answered and no more will be."""
        if (self.ends or self.last_words) and self.is_idle() and not self.transport.is_closing():
            if self.last_words:
                self.transport.write(self.last_words)
            self.transport.close()

    def is_idle(self) -> bool:
        return (self.cycle is None or self.cycle.response_complete) and not self.unread

    # the ends of a connection

    def refuse(self, error: RequestError, reason: str) -> None:
        """Answer in place of the request that comes, when those before it are answered, and close."""
        if self.last_words or self.transport.is_closing():
            return
        closed(reason)
        request_id = new_request_id()
        status, body = told(error, request_id)
        given = self.server_state.default_headers
        self.last_words = head_of(status, len(body), given, request_id, keep_alive=False) + body
        self.unread = NOTHING
        if self.comes == BODY:
            self.abandon()
        self.settle()

    def abandon(self) -> None:
        """Give up the request whose body is coming."""
        cycle = self.cycle
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
        cycle.disconnected = cycle.response_complete = True
        cycle.message_event.set()

    def refuse_head(self) -> None:
        most = self.shared.settings.max_header_bytes
        if self.comes == HEAD and 2 * len(self.url) > most:
            self.refuse(UriTooLong(f"a request's first line has at most {most} bytes"), "url_bytes")
        else:
            self.refuse(HeadersTooLarge(f"a request's head has at most {most} bytes"), "header_bytes")

    def overdue(self, what: str) -> None:
        if what in (HEAD, BODY):
            self.refuse(RequestTimeout("the request did not come whole in time; send it again"), REASONS[what])
            return
        if what in REASONS:
            closed(REASONS[what])
        self.transport.abort()

    def waits_for(self) -> Mark | None:
        unsent = self.transport.get_write_buffer_size()
        if self.transport.is_closing():
            return (UNREAD, unsent) if unsent else (LINGERING, 0)
        if self.flow.write_paused:
            return UNREAD, unsent
        if self.flow.read_paused or self.last_words:
            return None
        if self.comes in (HEAD, BODY):
            return self.comes, self.messages
        return (IDLE, self.messages) if self.is_idle() else None

    def lingers(self) -> bool:
        """Whether the caller may still be sending."""
        return self.comes != WHOLE or bool(self.last_words) or (self.shared.draining and self.corked.has_more())

    def says_farewell(self) -> bool:
        """Whether the answer that is given now is the last one, while the server ends."""
        more = self.pipeline or self.unread or self.comes != WHOLE
        return not more and not self.corked.has_more()

    def shutdown(self) -> None:
        """Let the answer on its way say that it is the last one; `serving.drain` sees to the rest."""
        cycle = self.cycle
        if isinstance(cycle, RequestResponseCycle) and not cycle.response_complete and not self.unread:
            cycle.keep_alive = False

    def decline(self) -> None:
        """Keep the head of a request that offers another protocol, without the offer.

        Raises:
            ValueError: it asks for a tunnel.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise ValueError("no tunnels here")
        line = b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())
        kept = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.declined = b"".join([line, *kept, b"\r\n"])


def body_length(headers: Headers) -> int:
    """Bytes of the body that these headers announce; UNKNOWN where they don't say."""
    length = 0
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            return UNKNOWN
    return length
