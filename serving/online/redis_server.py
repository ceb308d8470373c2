"""One Redis server behind one pipelining connection, opened when it is needed and again when it was
lost."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoPermissionError

from serving.online.key_command import Call, packed
from serving.online.redis_attempts import Attempts
from serving.online.redis_pipeline import (
    Away,
    Lost,
    Pipeline,
    RefusedReply,
    Replaced,
    Reply,
    TooLarge,
)

REMEMBERED_SECONDS = 10.0
PING = b"*1\r\n$4\r\nPING\r\n"


class RedisServer:
    """Asks a server, within a deadline, once more where the connection was lost: reading twice
    harms nobody.

    Args:
        dial: makes a connection of redis-py's that is not connected yet.
        seconds: the deadline of a call, and of an attempt to connect.
    """

    def __init__(self, dial: Callable[[], AbstractConnection], seconds: float) -> None:
        self.dial = dial
        self.seconds = seconds
        self.attempts = Attempts(self.connect, seconds)
        self.pipeline: Pipeline | None = None
        self.too_large: dict[bytes, float] = {}
        """Keys whose reply was too large -> when they are asked for again."""

    def read(self, calls: Sequence[Call]) -> Coroutine[Any, Any, list[Reply]]:
        """One reply for each call; `TooLarge` in the place of one that is.

        Raises:
            Away: no answer within the deadline.
        """
        return self.ask(calls, self.deadline())

    async def ping(self) -> None:
        """See that it answers.

        Raises:
            Away: it does not.
        """
        await self.send(PING, 1, self.deadline())

    def deadline(self) -> float:
        """That of a call which begins now."""
        return self.now() + self.seconds

    def now(self) -> float:
        """By the loop's clock."""
        return asyncio.get_running_loop().time()

    async def ask(self, calls: Sequence[Call], deadline: float) -> list[Reply]:
        """`read` until a given moment.

        Raises:
            Away: no answer within the deadline.
        """
        if self.too_large:
            return await self.ask_but_for_large(calls, deadline)
        return await self.ask_all(calls, deadline)

    async def ask_all(self, calls: Sequence[Call], deadline: float) -> list[Reply]:
        try:
            return await self.send(packed(calls), len(calls), deadline)
        except TooLarge as large:
            return await self.ask_around(large, calls, deadline)

    async def ask_around(
        self, large: TooLarge, calls: Sequence[Call], deadline: float
    ) -> list[Reply]:
        """The replies before one that is too large, and those behind it from a new connection."""
        _, key = calls[len(large.replies)]
        self.too_large[key] = self.now() + REMEMBERED_SECONDS
        rest = await self.ask_but_for_large(calls[len(large.replies) :], deadline)
        return [*large.replies, *rest]

    async def ask_but_for_large(self, calls: Sequence[Call], deadline: float) -> list[Reply]:
        """Without the keys whose replies were too large just now: they cost Redis time, too."""
        now = self.now()
        known = {key: until for key, until in self.too_large.items() if until > now}
        self.too_large = known
        others = [call for call in calls if call[1] not in known]
        try:
            replies = iter(await self.ask_all(others, deadline) if others else ())
        except RefusedReply as refused:  # whose replies would not be those of all calls
            raise Away(str(refused)) from None
        return [TooLarge([]) if key in known else next(replies) for _, key in calls]

    async def send(self, data: bytes, count: int, deadline: float) -> list[Reply]:
        """Send packed commands, once more where the connection was lost; one reply for each.

        Raises:
            Away: no answer within the deadline.
            TooLarge: one reply is.
        """
        tried = False
        while True:
            try:
                pipeline = self.pipeline or await self.attempts.outcome(deadline)
                return await pipeline.ask(data, count, deadline)
            except Replaced:
                continue
            except Lost:
                if tried:
                    raise
                tried = True

    async def connect(self) -> Pipeline:
        """Let redis-py connect, take the connection over, and see that it answers in step.

        A frozen server still accepts connections, so only a reply shows that it is there.
        """
        connection = self.dial()
        try:
            await connection.connect()
            pipeline = Pipeline(connection, self.seconds, self.forget)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        try:
            await self.greet(pipeline)
        except BaseException:
            pipeline.end()
            raise
        self.pipeline = pipeline
        return pipeline

    async def greet(self, pipeline: Pipeline) -> None:
        (reply,) = await pipeline.ask(PING, 1, self.deadline())
        if reply != b"PONG" and not isinstance(reply, NoPermissionError):
            raise Away(f"it answers a ping with {reply!r}")

    def forget(self, pipeline: Pipeline) -> None:
        if self.pipeline is pipeline:
            self.pipeline = None

    async def close(self) -> None:
        await self.attempts.close()
        if self.pipeline is not None:
            self.pipeline.end()
