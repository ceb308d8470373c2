"""An attempt that all who need its outcome share, and that is not repeated at once after it
failed."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from potluck.redis.client import REDIS_ERRORS
from serving.online.redis_pipeline import Away

logger = logging.getLogger("potluck.serving")

LONGEST_PAUSE = 1.0

T = TypeVar("T")


class Attempts(Generic[T]):
    """One attempt at a time, within a deadline.

    A failed one is followed by a pause of twice its own length. So a Redis that refuses is asked
    again at once, and one that hangs keeps at most every third request waiting; the others fail
    right away.
    """

    def __init__(self, attempt: Callable[[], Awaitable[T]], seconds: float) -> None:
        self.attempt = attempt
        self.seconds = seconds
        self.running: asyncio.Task[T | None] | None = None
        self.pause_until = -math.inf
        self.failing = False

    async def outcome(self, deadline: float) -> T:
        """What the attempt gave, or the one that is under way.

        Raises:
            Away: it failed, or did lately, or took too long.
        """
        running = self.begun()
        if running is None:
            raise Away("it did not answer just now")
        try:
            async with asyncio.timeout_at(deadline):
                found = await asyncio.shield(running)
        except TimeoutError:
            raise Away("connecting takes too long") from None
        if found is None:
            raise Away("it could not be reached")
        return found

    def begun(self) -> "asyncio.Task[T | None] | None":
        """The attempt under way; a new one unless it is time to pause."""
        loop = asyncio.get_running_loop()
        if self.running is None and loop.time() >= self.pause_until:
            self.running = loop.create_task(self.run(loop))
        return self.running

    async def run(self, loop: asyncio.AbstractEventLoop) -> T | None:
        started = loop.time()
        try:
            async with asyncio.timeout(self.seconds):
                found = await self.attempt()
        except (*REDIS_ERRORS, Away) as error:
            self.failed(error)
            self.pause_until = max(
                self.pause_until, loop.time() + min(2 * (loop.time() - started), LONGEST_PAUSE)
            )
            return None
        finally:
            self.running = None
        self.failing = False
        return found

    def failed(self, error: Exception) -> None:
        """Say it once for each time that Redis goes away."""
        if not self.failing:
            reason = str(error) or f"no answer within {self.seconds} s"
            logger.warning("the online store can't be reached: %s", reason)
        self.failing = True

    async def close(self) -> None:
        """Let the attempt under way end, and allow no other."""
        self.pause_until = math.inf
        if self.running is not None:
            await asyncio.wait({self.running})
