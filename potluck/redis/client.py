"""redis-py's clients for a URL of any deployment: a server, one behind Sentinel, a Cluster."""

from typing import Any

import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.asyncio.retry
import redis.asyncio.sentinel
import redis.cluster
import redis.sentinel
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from potluck.contract.errors import ServiceUnreachable, UsageError
from potluck.contract.redis_url import RedisUrl, parse_redis_url

RedisClient = redis.Redis | redis.cluster.RedisCluster
AsyncRedisClient = redis.asyncio.Redis | redis.asyncio.RedisCluster
Options = dict[str, Any]

REDIS_ERRORS = (redis.RedisError, RedisClusterException, OSError)
"""What a client raises when its Redis is away; redis-py has no common base for it."""


def is_wrong_type(reply: object) -> bool:
    """Whether a reply is Redis' error for a key that holds something else than was asked for."""
    # The parser's own class, not redis-py's, where the parser is asked without it.
    return isinstance(reply, Exception) and str(reply).startswith("WRONGTYPE")


def redis_client(url: str, **options: Any) -> RedisClient:
    """A client that fails at once instead of retrying for seconds.

    Args:
        url: a `REDIS_URL`; what its query says goes before `options`.
        options: a connection's, such as `socket_timeout` in seconds.

    Raises:
        UsageError: the URL is not valid.
        ServiceUnreachable: no node of the cluster answers. Other deployments are not asked yet.
    """
    where = parse_redis_url(url)
    asked = {**options, **options_of(where)}
    retry = Retry(NoBackoff(), 0)
    if where.deployment == "server":
        return redis.Redis.from_url(where.plain, retry=retry, **options)
    if where.deployment == "sentinel":
        sentinel_kwargs = {**for_sentinels(where, asked), "retry": retry}
        sentinel = redis.sentinel.Sentinel(
            where.hosts, sentinel_kwargs=sentinel_kwargs, **for_servers(where, asked)
        )
        master: RedisClient = sentinel.master_for(where.service, retry=retry)
        return master
    nodes = [redis.cluster.ClusterNode(host, port) for host, port in where.hosts]
    try:
        return redis.cluster.RedisCluster(
            startup_nodes=nodes, retry=retry, **for_servers(where, asked)
        )
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(f"the online store does not answer: {error}") from None


def async_redis_client(url: str, **options: Any) -> AsyncRedisClient:
    """The same for asyncio; it opens nothing yet.

    Raises:
        UsageError: the URL is not valid.
    """
    where = parse_redis_url(url)
    asked = {**options, **options_of(where)}
    retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
    if where.deployment == "server":
        return redis.asyncio.Redis.from_url(where.plain, retry=retry, **options)
    if where.deployment == "sentinel":
        kwargs = {**for_sentinels(where, asked), "retry": retry}
        sentinel = redis.asyncio.sentinel.Sentinel(
            where.hosts, sentinel_kwargs=kwargs, **for_servers(where, asked)
        )
        master: AsyncRedisClient = sentinel.master_for(where.service, retry=retry)
        return master
    nodes = [redis.asyncio.cluster.ClusterNode(host, port) for host, port in where.hosts]
    return redis.asyncio.RedisCluster(startup_nodes=nodes, retry=retry, **for_servers(where, asked))


def options_of(where: RedisUrl) -> Options:
    """What the URL says besides the hosts, in redis-py's words and types."""
    try:
        found: Options = parse_url(where.plain)
    except ValueError as error:
        raise UsageError(f"REDIS_URL is not valid: {error}") from None
    return {
        name: value
        for name, value in found.items()
        if name not in ("host", "port", "connection_class")
    }


def for_servers(where: RedisUrl, options: Options) -> Options:
    kept = {name: value for name, value in options.items() if not name.startswith("sentinel_")}
    return {**kept, "ssl": where.tls}


def for_sentinels(where: RedisUrl, options: Options) -> Options:
    """Sentinels have credentials of their own, and no db."""
    shared = {
        name: value for name, value in options.items() if name.startswith(("socket_", "ssl_"))
    }
    own = {
        name: options[f"sentinel_{name}"]
        for name in ("username", "password")
        if f"sentinel_{name}" in options
    }
    return {**shared, **own, "ssl": where.tls}


async def close_async(client: AsyncRedisClient) -> None:
    """Close a client, and those that it keeps for the sentinels."""
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for sentinel in manager.sentinels if manager is not None else ():
        await sentinel.aclose()
    await client.aclose()
