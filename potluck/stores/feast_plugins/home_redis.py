"""Connections to the online store's Redis, which is the home's own unless the settings say
otherwise."""

from typing import Any

from potluck.contract.settings import load_settings
from potluck.redis.client import AsyncRedisClient, RedisClient, async_redis_client, redis_client
from potluck.redis.embedded import ensure_redis

SOCKET_SECONDS = 30.0
TIMEOUTS: dict[str, Any] = {"socket_timeout": SOCKET_SECONDS, "socket_connect_timeout": 2.0}


def online_store_url() -> str:
    return load_settings().online_store_url


def start_redis_of_home(connection_string: str) -> None:
    """Start the home's own Redis, if that is what is to be connected to."""
    settings = load_settings()
    if connection_string == settings.online_store_url:
        ensure_redis(settings)


def open_client(url: str) -> RedisClient:
    start_redis_of_home(url)
    return redis_client(url, **TIMEOUTS)


def open_async_client(url: str) -> AsyncRedisClient:
    start_redis_of_home(url)
    return async_redis_client(url, **TIMEOUTS)
