"""One Redis server behind one pipelining connection, opened when it is needed and again when it was lost."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoPermissionError

from serving.key_command import Call, packed
from serving.redis_attempts import Attempts
from serving.redis_pipeline import Away, Lost, Pipeline, Reply

PING = b"*1\r\n$4\r\nPING\r\n"


class RedisServer:
    """Asks a server, within a deadline, once more where the connection was lost: reading twice harms nobody.

    Args:
        dial: makes a connection of redis-py's that is not connected yet.
        seconds: the deadline of a call, and of an attempt to connect.
    """

    def __init__(self, dial: Callable[[], AbstractConnection], seconds: float) -> None:
        self.dial = dial
        self.seconds = seconds
        self.attempts = Attempts(self.connect, seconds)
        self.pipeline: Pipeline | None = None

    def read(self, calls: Sequence[Call]) -> Coroutine[Any, Any, list[Reply]]:
        """One reply for each call.

        Raises:
            Away: no answer within the deadline.
        """
        return self.ask(packed(calls), len(calls), self.deadline())

    async def ping(self) -> None:
        """See that it answers.

        Raises:
            Away: it does not.
        """
        await self.ask(PING, 1, self.deadline())

    def deadline(self) -> float:
        """That of a call which begins now, by the loop's clock."""
        return asyncio.get_running_loop().time() + self.seconds

    async def ask(self, data: bytes, count: int, deadline: float) -> list[Reply]:
        """Send packed commands and answer one reply for each.

        Raises:
            Away: no answer within the deadline.
        """
        try:
            pipeline = self.pipeline or await self.attempts.outcome(deadline)
            return await pipeline.ask(data, count, deadline)
        except Lost:
            pipeline = self.pipeline or await self.attempts.outcome(deadline)
            return await pipeline.ask(data, count, deadline)

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
