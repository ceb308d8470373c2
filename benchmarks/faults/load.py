"""A moderate load whose every request is kept: times, answer, whether it is right."""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CONNECTIONS = 16
RATE = 160.0
"""Requests a second, over all connections."""
PATIENCE_SECONDS = 5.0
Known = Mapping[tuple[str, str], object]
"""By target and body, and model version: the prediction."""


@dataclass(frozen=True)
class Ask:
    """One request that is sent over and over."""

    kind: str
    """hybrid, realtime or lookup."""
    method: str
    target: str
    body: bytes | None

    @property
    def key(self) -> str:
        body = self.body or b""
        return f"{self.target} {body.decode()}"

    @property
    def sent(self) -> bytes:
        """The request as it goes out."""
        body = self.body or b""
        lines = [f"{self.method} {self.target} HTTP/1.1", "host: x"]
        if self.body is not None:
            lines.append(f"content-length: {len(body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode() + body


@dataclass
class Asked:
    """A request and what came of it. Times are `time.monotonic()`."""

    kind: str
    begun: float
    ended: float = 0.0
    status: int = 0
    """0 where no answer came."""
    error: str = ""
    """Why no answer came."""
    sent: bool = False
    """Whether it went out over an open connection."""
    wrong: bool = False
    """Whether it is a 200 with another prediction than the one that is known."""

    @property
    def good(self) -> bool:
        return self.status == 200 and not self.wrong

    @property
    def ms(self) -> float:
        return 1000 * (self.ended - self.begun)


@dataclass
class Load:
    """Asks at an even rate until stopped; a connection that waits for an answer sends no more."""

    port: int
    asks: Sequence[Ask]
    known: Known
    asked: list[Asked] = field(default_factory=list)
    stopped: bool = False

    async def run(self) -> None:
        started = time.monotonic()
        connections = [self.one_connection(number, started) for number in range(CONNECTIONS)]
        await asyncio.gather(*connections)

    async def one_connection(self, number: int, started: float) -> None:
        """Take each sixteenth turn; turns that an answer was waited for are left out."""
        line = Line(self.port)
        turn = number
        while not self.stopped:
            due = started + turn / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            ask = self.asks[turn % len(self.asks)]
            await self.ask(line, ask)
            passed = (time.monotonic() - started) * RATE
            behind = passed - turn
            rounds = max(1, int(behind / CONNECTIONS))
            turn += CONNECTIONS * rounds
        line.close()

    async def ask(self, line: "Line", ask: Ask) -> None:
        asked = Asked(ask.kind, time.monotonic())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await line.open()
                asked.sent = True
                asked.status, body = await line.exchange(ask.sent)
            asked.wrong = asked.status == 200 and not self.right(ask, body)
        except (OSError, EOFError, TimeoutError) as error:
            asked.error = type(error).__name__
            line.close()
        asked.ended = time.monotonic()
        self.asked.append(asked)

    def right(self, ask: Ask, body: bytes) -> bool:
        """Whether the prediction is the one known of this version, to the bit."""
        told = json.loads(body)
        expected = self.known.get((ask.key, told["model_version"]))
        return expected is not None and told["prediction"] == expected


class Line:
    """A connection that is opened again after it was lost."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        lost = self.reader is None or self.reader.at_eof()
        if lost or self.writer is None or self.writer.is_closing():
            self.close()
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; answers status and body."""
        assert self.reader is not None
        assert self.writer is not None
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        length = int(headers["content-length"])
        body = await self.reader.readexactly(length)
        if headers.get("connection") == "close":
            self.close()
        return int(head[9:12]), body

    def close(self) -> None:
        if self.writer is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self.writer.close()
        self.reader = self.writer = None
