"""uvicorn's HTTP protocol with two short ways: one write an answer, and the hot calls without an
ASGI application.

For an answer of a few hundred bytes, uvicorn's two writes (head, then body: two packets, and a
client that wakes up twice), its task, scope and event take longer than all that is computed. Here
the bytes of a hot call go to `serving.http.hot` as soon as they have come, and its answer leaves as
one write. What is not an ordinary hot call takes uvicorn's own way; so do requests that were sent
before the answer to the one before them.
"""

from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from potluck.contract.errors import BodyTooLarge, MalformedRequest
from serving.http.answer_bytes import Headers
from serving.http.connections import BODY
from serving.http.cycle import HotCycle
from serving.http.edge import CUTS_SHORT, Exchange
from serving.http.limited import MALFORMED, WHOLE, LimitedProtocol
from serving.http.routes import LARGEST_BATCH_BODY

PROTOCOL = "serving.http.wire:ShortWayProtocol"
"""For uvicorn's option `http`."""
LARGEST_HOT_BODY = 1 << 16  # uvicorn stops reading at more, until somebody asks for it
UNKNOWN = 1 << 62


class ShortWayProtocol(LimitedProtocol):
    """One connection, and the requests on it."""

    announced = 0
    """Bytes of the body of the request that came last."""

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            self.decline()
            return
        self.overhead = 0
        hot = self.hot_cycle()
        if hot is None:
            self.begin_cycle()
        else:
            self.comes = BODY
            self.cycle = hot  # type: ignore[assignment]

    def decline(self) -> None:
        """Keep the head of a request that offers another protocol, without the offer.

        Raises:
            MalformedRequest: it asks for a tunnel.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise MalformedRequest(MALFORMED)
        line = b"%b %b HTTP/%b\r\n" % (method, self.url, self.parser.get_http_version().encode())
        kept = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.declined = b"".join([line, *kept, b"\r\n"])

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

    def hot_cycle(self) -> HotCycle | None:
        """The request as a hot call's, if it is one and no other request of this connection is
        being answered."""
        self.announced = length = body_length(self.headers)
        if self.cycle is not None and not self.cycle.response_complete:
            return None
        if self.expect_100_continue or not self.url.isascii():
            return None
        if length > LARGEST_HOT_BODY or b"%" in self.url or b"?" in self.url:
            return None
        exchange = Exchange(self.headers)
        method, url = self.parser.get_method(), self.url.decode()
        found = self.edge.hot.find(method, url, exchange.request_id, exchange.started)
        if found is None or (length > 0) != (found[0].method == "POST"):
            return None
        return HotCycle(self, self.edge, exchange, *found)

    def begin_cycle(self) -> None:
        """Begin uvicorn's own cycle, with the scope that it makes of each message.

        Raises:
            MalformedRequest: the request's target has no path.
        """
        check_target(self.url)
        url, headers, expects, before = self.url, self.headers, self.expect_100_continue, self.cycle
        HttpToolsProtocol.on_message_begin(self)
        self.url, self.expect_100_continue = url, expects
        self.headers += headers  # the scope holds this list
        self.before = before
        HttpToolsProtocol.on_headers_complete(self)
        self.comes = BODY  # not before: until then `cycle` is the request before this one
        self.scope["state"][CUTS_SHORT] = partial(self.cuts_short, self.cycle)
        if LARGEST_BATCH_BODY < self.announced < UNKNOWN:
            most = f"a body has at most {LARGEST_BATCH_BODY} bytes; send several calls"
            self.refuse(BodyTooLarge(most), "body_bytes")
        elif self.shared.draining:
            self.announce_end(before)

    def cuts_short(self, cycle: Any) -> bool:
        """Whether so much of a request's body is still to come that an answer now ends the
        connection: rather than to read over the rest."""
        if self.last_words or self.cycle is not cycle:
            return False  # a refusal follows, or another request has come
        return self.comes == BODY and self.announced > LARGEST_HOT_BODY

    def announce_end(self, before: Any) -> None:
        """While the server ends, the last request of a connection that has come is the one whose
        answer says so."""
        if isinstance(before, RequestResponseCycle) and not before.response_started:
            before.keep_alive = before.scope["http_version"] == "1.1"
        if not self.unread:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Go on with the next request; instead of uvicorn's timer for each, `Connections` sees who
        is idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.cycle.response_complete and self.cuts_short(self.cycle):
            self.transport.close()
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.ends or self.last_words:
            self.settle()
        if self.flow.read_paused:
            self.flow.resume_reading()
            self.loop.call_soon(self.go_on)


def check_target(url: bytes) -> None:
    """Check what uvicorn takes for granted: that a request's target has a path, in ASCII.

    Raises:
        MalformedRequest: it has none.
    """
    try:
        path = httptools.parse_url(url).path
    except httptools.HttpParserError as error:
        raise MalformedRequest(MALFORMED) from error
    if path is None or not path.isascii():
        raise MalformedRequest(MALFORMED)


def body_length(headers: Headers) -> int:
    """Bytes of the body that these headers announce; UNKNOWN where they don't say."""
    length = 0
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            return UNKNOWN
    return length
