"""The same read gives the same replies, whatever lies behind REDIS_URL."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
import uvloop
from redis_proxy import proxy
from redis_servers import Processes, RedisProcess

from potluck.contract.errors import FeatureStoreUnavailable
from potluck.contract.settings import Settings
from potluck.redis.client import RedisClient, redis_client
from serving.online.store import KeyCommand, OnlineStore

HMGET = KeyCommand("HMGET", b"a", b"\x00\r\n", b"nobody")
GET = KeyCommand("GET")
DEPLOYMENTS = ["tcp", "unix", "password", "acl", "db", "tls", "sentinel", "cluster"]

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both event loops: their transports are not of one make."""
    return asyncio.run if request.param == "asyncio" else uvloop.run


@pytest.fixture(scope="module")
def plain(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture(scope="module")
def locked(shared_processes: Processes) -> RedisProcess:
    """One with a password, and with a user who may read some keys and do nothing else."""
    server = shared_processes.start(password="s/e:c@r#e t")
    server.client.execute_command("ACL SETUSER", "reader", "on", ">other", "~*", "+hmget", "+get")
    return server


@pytest.fixture(scope="module")
def guarded(shared_processes: Processes) -> str:
    """The URL of a server with a password that sentinels guard; the first sentinel is not there."""
    server = shared_processes.start(password="secret")
    sentinel = shared_processes.sentinel(server, "ours")
    sentinel.client.execute_command("SENTINEL", "SET", "ours", "auth-pass", "secret")
    return f"redis+sentinel://:secret@127.0.0.1:9,127.0.0.1:{sentinel.port}/ours/2"


@pytest.fixture(params=DEPLOYMENTS)
def url(request: pytest.FixtureRequest) -> str:
    """Each form of the URL in turn; TLS has no port yet."""
    if request.param == "sentinel":
        return str(request.getfixturevalue("guarded"))
    if request.param == "cluster":
        return f"redis+cluster://127.0.0.1:9,127.0.0.1:{request.getfixturevalue('cluster')[0].port}"
    server = request.getfixturevalue("locked" if request.param in ("password", "acl") else "plain")
    return {
        "tcp": f"redis://127.0.0.1:{server.port}",
        "unix": f"unix://{server.socket}",
        "password": f"redis://:s%2Fe%3Ac%40r%23e%20t@127.0.0.1:{server.port}",
        "acl": f"redis://reader:other@127.0.0.1:{server.port}",
        "db": f"redis://127.0.0.1:{server.port}/5?client_name=potluck",
        "tls": "rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}",
    }[request.param]


@pytest.fixture
def writer(url: str, plain: RedisProcess, locked: RedisProcess) -> RedisClient:
    """What writes into the store of `url`."""
    if "{port}" in url:
        return plain.client
    return locked.client if "reader:" in url else redis_client(url)


@pytest.fixture
def filled(writer: RedisClient) -> None:
    for number in range(300):
        writer.hset(f"entity {number}", mapping={b"a": str(number), b"\x00\r\n": b"\r\n\x00"})
    writer.set("text", "pointer")


def store_of(url: str) -> OnlineStore:
    return OnlineStore(Settings(redis_url=url, redis_timeout=5.0))


@asynccontextmanager
async def opened(url: str, plain: RedisProcess, certificate: Path) -> AsyncIterator[OnlineStore]:
    """The store of `url`, for TLS through a proxy."""
    async with AsyncExitStack() as stack:
        port = (
            (await stack.enter_async_context(proxy(plain, certificate))).port
            if "{port}" in url
            else 0
        )
        store = store_of(url.format(port=port, certificate=certificate))
        yield store
        await store.close()


def test_every_deployment_gives_the_same_replies(
    url: str, filled: None, run: Run, plain: RedisProcess, certificate: Path
) -> None:
    async def read() -> None:
        async with opened(url, plain, certificate) as store:
            calls = [
                (HMGET, b"entity 7"),
                (HMGET, b"nobody"),
                (GET, b"text"),
                (GET, b"no text"),
                (HMGET, b"text"),
            ]
            *replies, error = await store.read(calls)
            assert replies == [[b"7", b"\r\n\x00", None], [None] * 3, b"pointer", None]
            assert isinstance(error, redis.ResponseError)
            assert "WRONGTYPE" in str(error)
            many = await store.read([(HMGET, f"entity {number}".encode()) for number in range(300)])
            assert [reply[0] for reply in many] == [str(number).encode() for number in range(300)]
            assert await store.read([]) == []
            assert await store.answers()

    run(read())


def test_concurrent_readers_each_get_their_own_replies(
    url: str, filled: None, run: Run, plain: RedisProcess, certificate: Path
) -> None:
    async def reader(store: OnlineStore, first: int) -> None:
        for number in range(first, 300, 10):
            (one, other) = await store.read(
                [(HMGET, f"entity {n}".encode()) for n in (number, 299 - number)]
            )
            assert (one[0], other[0]) == (str(number).encode(), str(299 - number).encode())

    async def read() -> None:
        async with opened(url, plain, certificate) as store:
            await asyncio.gather(*(reader(store, first) for first in range(50)))

    run(read())


def test_one_connection_serves_all_readers_and_closing_ends_it(
    plain: RedisProcess, run: Run
) -> None:
    async def read() -> None:
        store = store_of(f"unix://{plain.socket}?client_name=only")
        assert connections(plain) == 0
        await asyncio.gather(*(store.read([(GET, b"text")]) for _ in range(50)))
        assert connections(plain) == 1
        await store.close()
        with pytest.raises(FeatureStoreUnavailable):
            await store.read([(GET, b"text")])
        while connections(plain):
            await asyncio.sleep(0.01)

    run(read())


def connections(server: RedisProcess) -> int:
    return sum(client["name"] == "only" for client in server.client.client_list())


def test_a_wrong_password_is_an_unavailable_store_and_is_said_once_without_it(
    locked: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async def read() -> None:
        store = store_of(f"redis://:mistaken@127.0.0.1:{locked.port}")
        for _ in range(20):
            with pytest.raises(FeatureStoreUnavailable):
                await store.read([(GET, b"text")])
            await asyncio.sleep(0.01)
        assert not await store.answers()
        await store.close()

    asyncio.run(read())
    (message,) = [
        record.getMessage() for record in caplog.records if record.name == "potluck.serving"
    ]
    assert "invalid username-password pair" in message
    assert "mistaken" not in message


def test_a_certificate_that_nobody_vouches_for_is_an_unavailable_store(
    plain: RedisProcess, certificate: Path, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def read() -> None:
        async with proxy(plain, certificate) as between:
            store = store_of(f"rediss://127.0.0.1:{between.port}")
            with pytest.raises(FeatureStoreUnavailable):
                await store.read([(GET, b"text")])
            await store.close()

    run(read())
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


def test_a_node_of_a_cluster_under_a_plain_url_is_an_unavailable_store(
    cluster: list[RedisProcess],
) -> None:
    """It would answer for a third of the keys."""

    async def read() -> None:
        store = store_of(f"redis://127.0.0.1:{cluster[0].port}")
        keys = [f"entity {number}".encode() for number in range(9)]
        with pytest.raises(FeatureStoreUnavailable):
            await store.read([(GET, key) for key in keys])
        await store.close()

    asyncio.run(read())


@pytest.mark.parametrize(
    ("name", "after"),
    [("GET", ()), ("HMGET", (b"a",)), ("HMGET", (b"", b"\r\n", b"\xff" * 300)), ("EXISTS", ())],
)
@pytest.mark.parametrize("key", [b"", b"key", b"\x00\r\n", b"k" * 70_000])
def test_a_command_is_packed_as_redis_py_packs_it(
    name: str, after: tuple[bytes, ...], key: bytes
) -> None:
    command = KeyCommand(name, *after)
    assert command.words(key) == (name, key, *after)
    assert command.packed(key) == b"".join(redis.Connection().pack_command(*command.words(key)))
