"""A cluster whose slots move and whose nodes die, while it is read."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from redis.asyncio import RedisCluster
from redis_servers import Processes, RedisProcess, id_of

from potluck.contract.errors import FeatureStoreUnavailable
from potluck.contract.settings import Settings
from potluck.redis.client import redis_client
from serving.online.store import KeyCommand, OnlineStore

GET = KeyCommand("GET")
KEYS = [f"key {number}".encode() for number in range(60)]
LONG = 15.0


@pytest.fixture(scope="module")
def nodes(cluster: list[RedisProcess]) -> list[RedisProcess]:
    """Whole again after each test."""
    client = redis_client(url_of(cluster))
    for key in KEYS:
        client.set(key, b"value of " + key)
    return cluster


def url_of(nodes: list[RedisProcess]) -> str:
    return f"redis+cluster://127.0.0.1:{nodes[0].port}"


def while_reading(
    nodes: list[RedisProcess], test: Callable[[OnlineStore], Coroutine[Any, Any, None]]
) -> None:
    async def read() -> None:
        store = OnlineStore(Settings(redis_url=url_of(nodes), redis_timeout=0.5))
        await whole(store)
        await test(store)
        await store.close()

    uvloop.run(asyncio.wait_for(read(), LONG))


async def whole(store: OnlineStore) -> None:
    assert await store.read([(GET, key) for key in KEYS]) == [b"value of " + key for key in KEYS]


async def comes_back(store: OnlineStore) -> None:
    """A node that was away takes no part for a while: it says CLUSTERDOWN."""
    while True:
        with contextlib.suppress(FeatureStoreUnavailable):
            return await whole(store)
        await asyncio.sleep(0.02)


def test_keys_that_move_to_another_node_are_found_all_the_time(nodes: list[RedisProcess]) -> None:
    key = KEYS[0]
    slot = nodes[0].client.execute_command("CLUSTER KEYSLOT", key)
    source = next(
        node for node in nodes if node.client.execute_command("CLUSTER COUNTKEYSINSLOT", slot)
    )
    target = nodes[nodes.index(source) - 1]

    async def move(store: OnlineStore) -> None:
        target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", id_of(source))
        source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", id_of(target))
        await whole(store)
        source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "KEYS", key)
        await whole(store)  # the source says ASK
        for node in (target, source, *nodes):
            node.client.execute_command("CLUSTER SETSLOT", slot, "NODE", id_of(target))
        await whole(store)  # the source says MOVED
        await whole(store)

    while_reading(nodes, move)


def test_a_frozen_node_costs_its_own_keys_alone(nodes: list[RedisProcess]) -> None:
    async def freeze(store: OnlineStore) -> None:
        with nodes[1].frozen():
            outcomes = await asyncio.gather(
                *(store.read([(GET, key)]) for key in KEYS), return_exceptions=True
            )
            assert not await store.answers()
        lost = [
            key
            for key, outcome in zip(KEYS, outcomes, strict=True)
            if isinstance(outcome, FeatureStoreUnavailable)
        ]
        assert 0 < len(lost) < len(KEYS) - 20
        assert all(isinstance(outcome, FeatureStoreUnavailable | list) for outcome in outcomes)
        assert isinstance(store.client, RedisCluster)
        *_, asked_last = store.client.nodes_manager.startup_nodes.values()
        assert asked_last.port == nodes[1].port
        await comes_back(store)
        assert await store.answers()

    while_reading(nodes, freeze)


def test_a_node_that_was_killed_is_asked_again_when_it_is_back(nodes: list[RedisProcess]) -> None:
    async def kill(store: OnlineStore) -> None:
        nodes[2].client.save()
        nodes[2].kill()
        for _ in range(10):
            with pytest.raises(FeatureStoreUnavailable):
                await store.read([(GET, key) for key in KEYS])
        await asyncio.to_thread(nodes[2].start)
        await comes_back(store)
        assert await store.answers()

    while_reading(nodes, kill)


def test_a_replica_that_takes_over_is_found(
    nodes: list[RedisProcess], shared_processes: Processes
) -> None:
    replica = shared_processes.replica(nodes)

    async def take_over(store: OnlineStore) -> None:
        nodes[0].kill()
        replica.client.execute_command("CLUSTER FAILOVER", "TAKEOVER")
        await comes_back(store)
        await asyncio.to_thread(nodes[0].start)

    while_reading(nodes, take_over)
