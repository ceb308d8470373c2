"""The online store as the server reads it: one round trip a request, a deadline, and no retry that outlives it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from potluck.contract.errors import FeatureStoreUnavailable
from potluck.contract.settings import Settings

Command = tuple[bytes | str, ...]
Reply = Any
"""bytes, a list of bytes or None, or the `redis.ResponseError` of this one command."""

MOST_CONNECTIONS = 64


class OnlineStore:
    """Redis behind a deadline."""

    def __init__(self, settings: Settings) -> None:
        self.seconds = settings.redis_timeout
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            settings.online_store_url,
            max_connections=MOST_CONNECTIONS,
            timeout=self.seconds,
            socket_timeout=self.seconds,
            socket_connect_timeout=self.seconds,
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self.client = redis.asyncio.Redis.from_pool(pool)

    async def read(self, commands: Sequence[Command]) -> list[Reply]:
        """Send all commands at once and answer one reply each.

        Raises:
            FeatureStoreUnavailable: no answer within the deadline.
        """
        try:
            async with asyncio.timeout(self.seconds):
                pipe = self.client.pipeline(transaction=False)
                for command in commands:
                    pipe.execute_command(*command)
                return list(await pipe.execute(raise_on_error=False))
        except (redis.RedisError, OSError, TimeoutError):
            raise FeatureStoreUnavailable(
                "the online store does not answer; a real-time service needs none, and fields of the store may be "
                "asked for again later"
            ) from None

    async def answers(self) -> bool:
        try:
            return bool(await self.read([("PING",)]))
        except FeatureStoreUnavailable:
            return False

    async def close(self) -> None:
        await self.client.aclose()
