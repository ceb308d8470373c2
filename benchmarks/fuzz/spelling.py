"""Requests as bytes: well formed but for what a case brings in."""

import random
from collections.abc import Sequence

from benchmarks.fuzz.calls import Call, some

MARKER = "marker"
EXTRA = (
    "accept: */*",
    "user-agent: fuzz",
    "cookie: a=b; c=d",
    "content-type: text/plain",
    "te: trailers",
    "accept-encoding: gzip",
    "origin: null",
    "x-empty:",
    "x-folded: a\tb",
    "content-encoding: gzip",
)
"""Headers of which a request has up to three."""


class Writer:
    """Spells requests of one case, each with an id of its own."""

    def __init__(self, dice: random.Random, calls: Sequence[Call], number: int) -> None:
        self.dice, self.calls, self.number = dice, calls, number
        self.written = 0

    def request(
        self,
        call: Call,
        *,
        version: str = "1.1",
        headers: Sequence[str] = (),
        chunked: bool = False,
    ) -> bytes:
        """One request, well formed but for what the arguments bring in."""
        self.written += 1
        extra = self.dice.sample(EXTRA, self.dice.randint(0, 3))
        lines = [
            f"{call.method} {call.target} HTTP/{version}",
            "host: fuzz",
            f"x-request-id: c{self.number}-{self.written}",
            *headers,
            *extra,
        ]
        body = call.body or b""
        if chunked:
            lines.append("transfer-encoding: chunked")
            body = chunked_body(self.dice, body)
        elif call.body is not None:
            lines.append(f"content-length: {len(body)}")
        return head_of(self.dice, lines) + body

    def requests(self, most: int) -> bytes:
        """Up to so many requests, one after the other."""
        calls = some(self.dice, self.calls, most)
        return b"".join([self.request(call) for call in calls])

    def one(self) -> Call:
        return self.dice.choice(self.calls)

    def post(self) -> Call:
        """A call that has a body."""
        calls = [call for call in self.calls if call.body]
        return self.dice.choice(calls)

    def marker(self) -> bytes:
        """A last request: its answer shows that nothing before it was misread."""
        lines = [
            "GET /livez HTTP/1.1",
            "host: fuzz",
            f"x-request-id: {MARKER}-{self.number}",
            "connection: close",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def head_of(dice: random.Random, lines: Sequence[str]) -> bytes:
    """Request line and headers; names in any case, values with spaces around them."""
    spelled = [lines[0]]
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name = dice.choice((name, name.title(), name.upper()))
        before = dice.choice(("", " ", "  "))
        after = dice.choice(("", " "))
        spelled.append(f"{name}:{before}{value.strip()}{after}")
    head = "\r\n".join(spelled) + "\r\n\r\n"
    return head.encode("utf-8", "surrogateescape")


def chunked_body(dice: random.Random, body: bytes) -> bytes:
    """In chunks of up to 400 bytes, some with an extension, and perhaps a trailer."""
    parts = []
    while body:
        largest = min(len(body), 400)
        size = dice.randint(1, max(1, largest))
        extension = dice.choice((b"", b"", b";x=y"))
        parts.append(b"%x%b\r\n%b\r\n" % (size, extension, body[:size]))
        body = body[size:]
    trailer = dice.choice((b"", b"", b"x-trailer: 1\r\n"))
    return b"".join(parts) + b"0\r\n" + trailer + b"\r\n"
