"""A Redis Cluster: redis-py knows which node holds a key, and each node has a pipelining
connection."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain

import redis
import redis.asyncio
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import AskError, TryAgainError

from potluck.redis.client import REDIS_ERRORS
from serving.online.key_command import Call
from serving.online.redis_attempts import Attempts
from serving.online.redis_pipeline import Away, RefusedReply, Reply
from serving.online.redis_server import RedisServer

REDIRECTIONS = (AskError, TryAgainError)
RELEARN_SECONDS = 1.0


class RedisClusterNodes:
    """Asks every node for its own keys, all at once.

    A key that is moving to another node is asked for again by redis-py, which follows redirections.
    When a node gives no answer, the cluster is asked who is who now, without anybody waiting for
    it.
    """

    def __init__(self, client: redis.asyncio.RedisCluster, seconds: float) -> None:
        self.client = client
        self.seconds = seconds
        self.servers: dict[str, RedisServer] = {}
        self.topology = Attempts(self.learn, seconds)
        self.learnt_at: float | None = None

    async def read(self, calls: Sequence[Call]) -> list[Reply]:
        """One reply for each call.

        Raises:
            Away: a node that is needed gives no answer within the deadline.
        """
        now = asyncio.get_running_loop().time()
        deadline = now + self.seconds
        try:
            if self.learnt_at is None:
                await self.topology.outcome(deadline)
            return await self.spread(calls, deadline)
        except (*REDIS_ERRORS, Away) as error:
            if self.learnt_at is not None and now - self.learnt_at >= RELEARN_SECONDS:
                self.topology.begun()
            raise Away(str(error)) from None

    async def spread(self, calls: Sequence[Call], deadline: float) -> list[Reply]:
        places: dict[ClusterNode, list[int]] = defaultdict(list)
        for place, (_, key) in enumerate(calls):
            places[self.node_of(key)].append(place)
        asked = [
            self.ask(node, [calls[place] for place in own], deadline)
            for node, own in places.items()
        ]
        replies = chain.from_iterable(await asyncio.gather(*asked))
        placed = dict(zip(chain.from_iterable(places.values()), replies, strict=True))
        return [placed[place] for place in range(len(calls))]

    async def ask(self, node: ClusterNode, calls: Sequence[Call], deadline: float) -> list[Reply]:
        try:
            return await self.server(node).ask(calls, deadline)
        except RefusedReply as refused:
            if not all(isinstance(error, REDIRECTIONS) for error in refused.errors):
                raise
            async with asyncio.timeout_at(deadline):
                return [
                    await self.redirected(call, reply)
                    for call, reply in zip(calls, refused.replies, strict=True)
                ]
        except Away:
            self.client.nodes_manager.move_node_to_end_of_cached_nodes(node.name)
            raise

    async def redirected(self, call: Call, reply: Reply) -> Reply:
        if not isinstance(reply, REDIRECTIONS):
            return reply
        command, key = call
        try:
            return await self.client.execute_command(*command.words(key))
        except redis.ResponseError as error:
            return error

    def node_of(self, key: bytes) -> ClusterNode:
        return self.client.nodes_manager.get_node_from_slot(self.client.keyslot(key))

    def server(self, node: ClusterNode) -> RedisServer:
        if node.name not in self.servers:
            kind, options = node.connection_class, node.connection_kwargs
            self.servers[node.name] = RedisServer(lambda: kind(**options), self.seconds)
        return self.servers[node.name]

    async def learn(self) -> bool:
        """Ask the cluster which node holds which slots, and let go of nodes that left."""
        if self.learnt_at is None:
            await self.client.initialize()
        else:
            await self.client.nodes_manager.initialize()
        self.learnt_at = asyncio.get_running_loop().time()
        names = {node.name for node in self.client.get_nodes()}
        for name in self.servers.keys() - names:
            await self.servers.pop(name).close()
        return True

    async def ping(self) -> None:
        """Whether every primary answers.

        Raises:
            Away: one does not.
        """
        if self.learnt_at is None:
            await self.topology.outcome(asyncio.get_running_loop().time() + self.seconds)
        await asyncio.gather(*(self.server(node).ping() for node in self.client.get_primaries()))

    async def close(self) -> None:
        await self.topology.close()
        for server in self.servers.values():
            await server.close()
