"""A Redis that hangs, dies, comes back or moves: an answer within the deadline, and never somebody
else's."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from redis_proxy import proxy
from redis_servers import Processes, RedisProcess, wait_until

from potluck.contract.errors import FeatureStoreUnavailable
from potluck.contract.settings import Settings
from serving.online.store import KeyCommand, OnlineStore

GET = KeyCommand("GET")
SECONDS = 0.2
LONG = 10.0  # what must not hang is given this long

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    loop = asyncio.run if request.param == "asyncio" else uvloop.run
    return lambda coroutine: loop(asyncio.wait_for(coroutine, LONG))


@pytest.fixture(scope="module")
def server(shared_processes: Processes) -> RedisProcess:
    """One that is whole again after each test."""
    return filled(shared_processes.start())


def filled(server: RedisProcess) -> RedisProcess:
    server.client.mset({str(number): f"value {number}" for number in range(1000)})
    server.client.set("large", b"x" * 200_000)
    return server


def store_of(where: RedisProcess | int | str, seconds: float = SECONDS) -> OnlineStore:
    if isinstance(where, RedisProcess):
        where = f"unix://{where.socket}"
    url = where if isinstance(where, str) else f"redis://127.0.0.1:{where}"
    return OnlineStore(Settings(redis_url=url, redis_timeout=seconds))


async def value(store: OnlineStore, number: int) -> None:
    assert await store.read([(GET, b"%d" % number)]) == [b"value %d" % number]


async def fails(store: OnlineStore) -> None:
    with pytest.raises(FeatureStoreUnavailable):
        await store.read([(GET, b"1")])


async def comes_back(store: OnlineStore) -> None:
    """A pause may follow a failed attempt to connect."""
    while not await store.answers():
        await asyncio.sleep(0.01)
    await value(store, 1)


def test_a_frozen_server_is_given_up_by_every_reader_and_found_again(
    server: RedisProcess, run: Run
) -> None:
    async def read() -> None:
        store = store_of(server)
        await value(store, 1)
        with server.frozen():
            await asyncio.gather(*(fails(store) for _ in range(50)))
            await fails(store)
            assert not await store.answers()
        await comes_back(store)
        await store.close()

    run(read())


def test_a_server_that_was_frozen_for_one_read_answers_the_next(
    server: RedisProcess, run: Run
) -> None:
    async def read() -> None:
        store = store_of(server)
        await value(store, 1)
        with server.frozen():
            await fails(store)
        await value(store, 2)
        await store.close()

    run(read())


def test_a_server_that_stays_frozen_does_not_keep_every_reader_waiting(
    server: RedisProcess, run: Run
) -> None:
    """A thousand deadlines one after the other would take minutes."""

    async def read() -> None:
        store = store_of(server)
        with server.frozen():
            for _ in range(1000):
                await fails(store)
        await comes_back(store)
        await store.close()

    run(read())


def test_late_replies_are_given_to_nobody_else(server: RedisProcess, run: Run) -> None:
    async def read() -> None:
        async with proxy(server) as between:
            store = store_of(between.port)
            await value(store, 1)
            between.chunk, between.pause = 1000, SECONDS / 20
            with pytest.raises(FeatureStoreUnavailable):
                await store.read([(GET, b"large")])
            between.chunk, between.pause = 1 << 16, 0.0
            await asyncio.gather(*(value(store, number) for number in range(100)))
            assert between.passed == 1  # slow is not silent: the connection stays
            await store.close()

    run(read())


def test_a_silent_connection_is_given_up_and_others_are_served_by_the_next(
    server: RedisProcess, run: Run
) -> None:
    """The second reader has time left when the first one finds the connection dead."""
    deadline = 5 * SECONDS  # long, as a busy machine wakes a sleeper late

    async def read() -> None:
        async with proxy(server) as between:
            store = store_of(between.port, deadline)
            await value(store, 1)
            between.flowing.clear()
            first = asyncio.create_task(fails(store))
            await asyncio.sleep(deadline / 2)
            second = asyncio.create_task(value(store, 2))
            await asyncio.sleep(deadline / 4)
            between.flowing = asyncio.Event()
            between.flowing.set()
            await asyncio.gather(first, second)
            assert between.passed == 2
            await store.close()

    run(read())


def test_replies_in_pieces_are_put_together(server: RedisProcess, run: Run) -> None:
    async def read() -> None:
        async with proxy(server) as between:
            between.chunk = 1
            store = store_of(between.port, seconds=5.0)
            await asyncio.gather(*(value(store, number) for number in range(20)))
            await store.close()

    run(read())


def test_cancelled_readers_disturb_nobody(server: RedisProcess, run: Run) -> None:
    async def read() -> None:
        store = store_of(server, seconds=5.0)
        readers = [asyncio.create_task(value(store, number)) for number in range(300)]
        await asyncio.sleep(0)
        for reader in readers[
            ::2
        ]:  # some while the connection is made, the others with calls on their way
            reader.cancel()
        await asyncio.gather(*readers[1::2])
        more = [asyncio.create_task(value(store, number)) for number in range(300)]
        await asyncio.sleep(0)
        for reader in more[::2]:
            reader.cancel()
        await asyncio.gather(*more[1::2])
        assert all(reader.cancelled() for reader in [*readers[::2], *more[::2]])
        await store.close()

    run(read())


def test_a_connection_that_the_server_closes_is_replaced_without_an_error(
    server: RedisProcess, run: Run
) -> None:
    async def read() -> None:
        store = store_of(server, seconds=5.0)
        going_on = True

        async def reader(number: int) -> None:
            while going_on:
                await value(store, number)

        readers = [asyncio.create_task(reader(number)) for number in range(20)]
        for _ in range(3):
            await asyncio.sleep(0.05)
            await asyncio.to_thread(server.client.client_kill_filter, _type="normal", skipme=True)
        going_on = False
        await asyncio.gather(*readers)
        await asyncio.to_thread(server.client.client_kill_filter, _type="normal", skipme=True)
        await value(store, 1)  # idle when it was closed
        await store.close()

    run(read())


def test_a_server_that_was_killed_is_asked_again_when_it_is_back(
    processes: Processes, run: Run
) -> None:
    async def read() -> None:
        server = await asyncio.to_thread(processes.start)
        filled(server)
        store = store_of(server)
        await value(store, 1)
        server.kill()
        for _ in range(20):
            await fails(store)
        await asyncio.to_thread(server.start)
        filled(server)
        await comes_back(store)
        server.kill()
        await asyncio.to_thread(server.start)
        filled(server)
        await value(store, 2)  # nobody read while it was away
        await store.close()

    run(read())


def test_a_replica_that_lost_its_master_is_an_unavailable_store(processes: Processes) -> None:
    server = filled(processes.start("--replica-serve-stale-data", "no"))

    async def read() -> None:
        store = store_of(server)
        await value(store, 1)
        server.client.replicaof("127.0.0.1", "9")
        await fails(store)
        server.client.replicaof("NO", "ONE")
        await value(store, 1)
        await store.close()

    asyncio.run(read())


def test_a_failover_of_sentinels_is_followed(processes: Processes) -> None:
    old = filled(processes.start())
    new = processes.start("--replicaof", "127.0.0.1", str(old.port))
    wait_until(lambda: new.client.get("1") == b"value 1")
    sentinel = processes.sentinel(old, "ours", patience_ms=300)
    wait_until(lambda: bool(sentinel.client.execute_command("SENTINEL", "REPLICAS", "ours")))

    async def read() -> None:
        store = store_of(f"redis+sentinel://127.0.0.1:{sentinel.port}/ours")
        await value(store, 1)
        old.kill()
        await fails(store)
        await comes_back(store)
        assert new.client.info("replication")["role"] == "master"
        await store.close()

    uvloop.run(asyncio.wait_for(read(), LONG))
