"""The online store as the server reads it: one round trip a request, and no answer later than the
deadline.

OnlineStore
├── RedisServer             redis://, rediss://, unix://, and the master that sentinels name
│   ├── Attempts            one attempt to connect for all who wait, and a pause where it failed
│   └── Pipeline            the one connection, shared by all calls of the worker
└── RedisClusterNodes       redis+cluster://: a RedisServer for each node
"""

from collections.abc import Sequence

import redis.asyncio

from potluck.contract.errors import FeatureStoreUnavailable
from potluck.contract.redis_url import parse_redis_url
from potluck.contract.settings import Settings
from potluck.redis.client import AsyncRedisClient, async_redis_client, close_async
from serving.online.key_command import Call, KeyCommand
from serving.online.redis_cluster import RedisClusterNodes
from serving.online.redis_pipeline import Away, Reply
from serving.online.redis_server import RedisServer

__all__ = ["Call", "KeyCommand", "OnlineStore", "Reply"]


class OnlineStore:
    """Redis behind a deadline, whatever its deployment."""

    def __init__(self, settings: Settings) -> None:
        seconds = settings.redis_timeout
        self.client = client_of(settings)
        self.source: RedisServer | RedisClusterNodes
        if isinstance(self.client, redis.asyncio.RedisCluster):
            self.source = RedisClusterNodes(self.client, seconds)
        else:
            self.source = RedisServer(self.client.connection_pool.make_connection, seconds)

    async def read(self, calls: Sequence[Call]) -> list[Reply]:
        """Send all calls at once and answer one reply each.

        Raises:
            FeatureStoreUnavailable: no answer within the deadline.
        """
        if not calls:
            return []
        try:
            return await self.source.read(calls)
        except Away:
            raise FeatureStoreUnavailable(
                "the online store does not answer; a real-time service needs none, and fields of "
                "the store may be asked for again later"
            ) from None

    async def answers(self) -> bool:
        """Whether it answers a ping: of a cluster, every primary."""
        try:
            await self.source.ping()
        except Away:
            return False
        return True

    async def close(self) -> None:
        await self.source.close()
        await close_async(self.client)


def client_of(settings: Settings) -> AsyncRedisClient:
    """redis-py's client, for what it knows: to connect, to ask sentinels for the master, a cluster
    for its nodes.

    A host that hangs must leave time within the deadline to ask the next one.
    """
    url = settings.online_store_url
    where = parse_redis_url(url)
    share = settings.redis_timeout / (1 if where.deployment == "server" else len(where.hosts) + 1)
    return async_redis_client(
        url, protocol=2, driver_info=None, socket_timeout=share, socket_connect_timeout=share
    )
