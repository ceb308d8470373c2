"""Long work of the event loop, in turns: everybody else is answered in between."""

import asyncio
import time

TURN_SECONDS = 0.01


class Turns:
    """The work on large bodies, one at a time: fifty hold the event loop no longer than one.

    `async with turns:` waits until no other body is worked on; `await turns.over()` stands between
    two steps of the work.
    """

    def __init__(self) -> None:
        self.one = asyncio.Lock()
        self.until = 0.0

    async def __aenter__(self) -> None:
        await self.one.acquire()
        self.until = time.perf_counter() + TURN_SECONDS

    async def __aexit__(self, *_: object) -> None:
        self.one.release()

    async def over(self) -> None:
        """Let others have their turn, if this one took its time."""
        if time.perf_counter() >= self.until:
            await self.others()

    async def others(self) -> None:
        """Let others have their turn, whether or not this one took its time."""
        await asyncio.sleep(0)
        self.until = time.perf_counter() + TURN_SECONDS
