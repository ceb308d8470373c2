"""The two round trips of a read: the pointers to published slots, then the entities' hashes.

An error stands in the place of its reply, so that one damaged key does not fail its neighbours.
"""

from collections.abc import Sequence
from typing import Any

from feast import FeatureView, RepoConfig

from potluck.contract.publication import pointer_key
from potluck.redis.client import AsyncRedisClient, RedisClient
from potluck.stores.feast_plugins.online_read import Commands, Row, readings, rows_of
from potluck.stores.feast_plugins.view_names import name_in_redis


def pointers(client: RedisClient, config: RepoConfig, views: Sequence[FeatureView]) -> list[Any]:
    """What lies under the key of each view's pointer."""
    with client.pipeline(transaction=False) as pipe:
        for view in views:
            pipe.get(pointer_key(config.project, name_in_redis(view, config)))
        return pipe.execute(raise_on_error=False)


async def pointers_async(
    client: AsyncRedisClient, config: RepoConfig, views: Sequence[FeatureView]
) -> list[Any]:
    """`pointers` for asyncio."""
    async with client.pipeline(transaction=False) as pipe:
        for view in views:
            pipe.get(pointer_key(config.project, name_in_redis(view, config)))
        return await pipe.execute(raise_on_error=False)


def read_many(client: RedisClient, commands: Commands) -> list[Any]:
    """One HMGET for each command."""
    with client.pipeline(transaction=False) as pipe:
        for key, fields in commands:
            pipe.execute_command("HMGET", key, *fields)
        return pipe.execute(raise_on_error=False)


async def read_many_async(client: AsyncRedisClient, commands: Commands) -> list[Any]:
    """`read_many` for asyncio."""
    async with client.pipeline(transaction=False) as pipe:
        for key, fields in commands:
            pipe.execute_command("HMGET", key, *fields)
        return await pipe.execute(raise_on_error=False)


def read_view(
    client: RedisClient,
    config: RepoConfig,
    view: FeatureView,
    features: list[str] | None,
    keys: Sequence[bytes],
) -> list[Row]:
    """The rows of one view's entities, by their Redis keys."""
    stored = pointers(client, config, [view])
    (plan,) = readings(config, [(view, features)], stored)
    replies = read_many(client, [(key, plan.fields) for key in keys])
    return rows_of(plan, replies)


async def read_view_async(
    client: AsyncRedisClient,
    config: RepoConfig,
    view: FeatureView,
    features: list[str] | None,
    keys: Sequence[bytes],
) -> list[Row]:
    """`read_view` for asyncio."""
    stored = await pointers_async(client, config, [view])
    (plan,) = readings(config, [(view, features)], stored)
    replies = await read_many_async(client, [(key, plan.fields) for key in keys])
    return rows_of(plan, replies)
