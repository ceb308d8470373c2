"""uvicorn's HTTP protocol with limits for what a caller may send, and how long that may take.

What comes is parsed in slices, so that a caller who sends a thousand requests at once has only a
few of them waiting: reading goes on when these are answered, and their answers are read.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from potluck.contract.errors import (
    HeadersTooLarge,
    MalformedRequest,
    RequestError,
    RequestTimeout,
    TooManyConnections,
    UriTooLong,
)
from serving.http.answer_bytes import head_of, told
from serving.http.connections import (
    BODY,
    HEAD,
    IDLE,
    LINGERING,
    REASONS,
    SPARE,
    UNREAD,
    Mark,
    closed,
)
from serving.http.edge import edge_of, request_id_of
from serving.http.transport import CorkedTransport, Gate
from serving.loop.tasks import answer_to, logged

SLICE = 4096
MOST_SLICES = 8
"""Of a body in one turn of the event loop: of chunks of one byte they take some 10 ms."""
WHOLE = "whole"
"""Neither the head nor the body of a request has come in part."""
NOTHING = memoryview(b"")

TOO_MANY = "the server keeps as many connections open as it may; ask again shortly"
MALFORMED = "the bytes are no request in HTTP/1.1, or could be read in two ways; send it anew"
LATE = "the request did not come whole in time; send it again"


class LimitedProtocol(HttpToolsProtocol):
    """One connection; what it does with a request is its subclass's."""

    corked: CorkedTransport
    """There from `connection_made` on, as are uvicorn's `transport` and `flow`."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.edge = edge_of(self.app)
        self.shared = self.edge.connections
        self.comes = WHOLE
        self.messages = self.overhead = self.delivered = 0
        self.unread = NOTHING
        self.ends = False
        self.last_words = b""
        self.declined = b""
        """The head of a request that offered another protocol, without the offer."""
        self.before: Any = None

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
            self.refuse(TooManyConnections(TOO_MANY), "too_many")

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
        """Parse what lies here as far as there is room; heads have a turn of the event loop
        for each slice."""
        slices = 0
        while self.unread and not self.is_full() and not self.last_words:
            part, self.unread = self.unread[:SLICE], self.unread[SLICE:]
            self.feed(part)
            slices += 1
            if self.unread and (self.comes != BODY or slices == MOST_SLICES):
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
        except httptools.HttpParserError as error:
            self.refuse_unparsed(error.__context__)
        if self.comes != WHOLE:
            self.overhead += len(data)
            if self.overhead > self.shared.settings.max_header_bytes:
                self.refuse_head()

    def parse(self, data: bytes | memoryview) -> None:
        """Feed the parser; an offer to go on in another protocol is declined, as HTTP allows.

        The parser would leave a body to the other protocol. So the request's head is told to a new
        one without it.
        """
        while data:
            taken = self.offered_after(data)
            if taken is None:
                return
            data = data[taken:]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            # Not while the offer is handled: it would take the place of a failure's context.
            self.parser.feed_data(self.declined)

    def offered_after(self, data: bytes | memoryview) -> int | None:
        """Feed the parser; answers after how many bytes another protocol was offered, if it was."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return int(offer.args[0])
        return None

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
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

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

    # the ends of a connection

    def refuse(self, error: RequestError, reason: str) -> None:
        """Answer the request that comes, when those before it are answered, and close."""
        if self.last_words or self.transport.is_closing():
            return
        closed(reason)
        # Between two requests the headers are still those of the one before.
        headers = [] if self.comes == WHOLE else self.headers
        request_id = request_id_of(headers)
        status, body = told(logged(error, request_id), request_id)
        given = self.server_state.default_headers
        self.last_words = head_of(status, len(body), given, request_id, keep_alive=False) + body
        self.unread = NOTHING
        if self.comes == BODY:
            self.abandon()
        self.settle()

    def refuse_unparsed(self, cause: BaseException | None) -> None:
        """Refuse what the parser gave up.

        Args:
            cause: what one of the parser's calls here raised; None where the parser itself failed.
        """
        if isinstance(cause, Exception) and not isinstance(cause, RequestError):
            self.refuse(answer_to(cause), "failure")
        else:
            self.refuse(MalformedRequest(MALFORMED), "malformed")

    def abandon(self) -> None:
        """Give up the request whose body is coming."""
        cycle = self.cycle
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # it has not begun
            self.cycle = self.before
        else:
            cycle.disconnected = cycle.response_complete = True
            cycle.message_event.set()

    def refuse_head(self) -> None:
        most = self.shared.settings.max_header_bytes
        message = f"a request's head, with its first line, has at most {most} bytes"
        if self.comes == HEAD and 2 * len(self.url) > most:
            self.refuse(UriTooLong(message), "url_bytes")
        else:
            self.refuse(HeadersTooLarge(message), "header_bytes")

    def settle(self) -> None:
        """Close, if all that came is answered and no more will be."""
        if (self.ends or self.last_words) and self.is_idle() and not self.transport.is_closing():
            if self.last_words:
                self.transport.write(self.last_words)
            self.transport.close()

    def is_idle(self) -> bool:
        return (self.cycle is None or self.cycle.response_complete) and not self.unread

    # asked by `serving.http.connections`, `serving.http.transport` and `serving.process.drain`

    def overdue(self, what: str) -> None:
        if what in (HEAD, BODY):
            self.refuse(RequestTimeout(LATE), REASONS[what])
        else:
            if what != LINGERING:
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
        if self.comes != WHOLE or self.last_words:
            return True
        return self.shared.draining and self.corked.has_more()

    def says_farewell(self) -> bool:
        """Whether the answer that is given now is the last one, while the server ends."""
        more = self.pipeline or self.unread or self.comes != WHOLE
        return not more and not self.corked.has_more()

    def shutdown(self) -> None:
        """Let the answer on its way say that it is the last one; the rest is
        `serving.process.drain`'s."""
        cycle = self.cycle
        if isinstance(cycle, RequestResponseCycle) and not self.is_idle() and not self.unread:
            cycle.keep_alive = False
