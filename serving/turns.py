"""Long work of the event loop, in turns: everybody else is answered in between."""

import asyncio
import time

TURN_SECONDS = 0.01


class Turns:
    """The work on large bodies, one body at a time: however many there are, a turn takes no longer than one's.

    `async with turns:` waits until no other body is worked on; `await turns.over()` stands between two steps of it.
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
        """Let others have their turn, for instance after a step that takes as long as a turn may."""
        await asyncio.sleep(0)
        self.until = time.perf_counter() + TURN_SECONDS
