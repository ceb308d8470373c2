"""The memory of large bodies: how much of them a worker holds, and how many it works on at once.

A body is counted as it comes. Above the most that may be held its caller is no longer read from,
until others are answered; only the body that came first goes on, so that there is always one that
gets on.
"""

import asyncio
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Message, Receive

from potluck.contract.errors import Overloaded

SMALL = 1 << 16
"""Bytes of a body that waits for nobody."""
AT_ONCE = 2
"""Large bodies that are parsed, predicted and answered at a time; parsed, each takes several times
its bytes."""
LONGEST_WAIT = 30.0
NO_ROOM = "the server works on as many large bodies as it takes; ask again shortly"
LEAST_MAPPED = 1 << 20
M_MMAP_THRESHOLD = -3


class Bodies:
    """All that are on their way to one worker."""

    def __init__(self, most: int) -> None:
        """
        Args:
            most: bytes that are held at once, besides those of the body that came first.
        """
        self.most, self.held = most, 0
        self.line: dict[Body, None] = {}
        self.turns = asyncio.Semaphore(AT_ONCE)
        self.released = asyncio.Event()
        self.leave_gaps = False
        map_large_blocks()

    @contextmanager
    def body(self, receive: Receive) -> Iterator["Body"]:
        """A request's body, held until the request is answered."""
        body = Body(self, receive)
        try:
            yield body
        finally:
            body.release()

    def has_room(self, body: "Body") -> bool:
        return self.held <= self.most or body.size <= SMALL or next(iter(self.line)) is body

    async def give_back(self) -> None:
        """Return to the system what the last large bodies left behind, once none is held."""
        if self.leave_gaps and not self.line:
            self.leave_gaps = False
            await asyncio.to_thread(trim)


class Body:
    """One of them, received in the place of the connection's own `receive`."""

    def __init__(self, bodies: Bodies, receive: Receive) -> None:
        self.bodies, self._receive = bodies, receive
        self.size = 0
        self.has_turn = False

    async def receive(self) -> Message:
        """The next part, when there is room for it.

        Raises:
            Overloaded: there was none for too long.
        """
        message = await self._receive()
        self.add(len(message.get("body", b"")))
        if self.size > SMALL:
            try:
                async with asyncio.timeout(LONGEST_WAIT):
                    await self.wait(whole=not message.get("more_body", False))
            except TimeoutError:
                raise Overloaded(NO_ROOM) from None
        return message

    def add(self, size: int) -> None:
        if size:
            self.bodies.line[self] = None
            self.bodies.held += size
            self.size += size

    async def wait(self, *, whole: bool) -> None:
        while not self.bodies.has_room(self):
            self.bodies.released.clear()
            await self.bodies.released.wait()
        if whole and not self.has_turn:
            await self.bodies.turns.acquire()
            self.has_turn = True

    def release(self) -> None:
        if self.has_turn:
            self.bodies.turns.release()
        if self.size:
            del self.bodies.line[self]
            self.bodies.held -= self.size
            self.bodies.leave_gaps = self.bodies.leave_gaps or self.size > SMALL
            self.bodies.released.set()


def map_large_blocks() -> None:
    """Have the C library map each large block by itself, so that it goes back to the system when it
    is freed.

    By itself it raises this limit to 32 MiB with the first blocks that are freed, and keeps the
    ones after them.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LEAST_MAPPED)


def trim() -> None:
    """Return the free pages of smaller blocks as well. ctypes lets other threads work meanwhile."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
