"""Writers reach every deployment: what materialize, prune and the nightly run do to Redis."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis_servers import Processes, RedisProcess

from potluck.contract.errors import ServiceUnreachable, UsageError
from potluck.contract.settings import Settings
from potluck.redis.client import REDIS_ERRORS, async_redis_client, close_async, redis_client
from potluck.redis.embedded import answers


@pytest.fixture(scope="module")
def server(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start(password="secret")


@pytest.fixture(scope="module")
def sentinel(shared_processes: Processes, server: RedisProcess) -> RedisProcess:
    found = shared_processes.sentinel(server, "ours")
    found.client.execute_command("SENTINEL", "SET", "ours", "auth-pass", "secret")
    return found


@pytest.fixture(params=["server", "sentinel", "cluster"])
def url(request: pytest.FixtureRequest) -> str:
    found = request.getfixturevalue(request.param)
    return {
        "server": lambda: f"redis://:secret@127.0.0.1:{found.port}/1",
        "sentinel": lambda: f"redis+sentinel://:secret@127.0.0.1:9,127.0.0.1:{found.port}/ours/2",
        "cluster": lambda: f"redis+cluster://127.0.0.1:9,127.0.0.1:{found[0].port}",
    }[request.param]()


def test_what_pipelines_write_is_scanned_read_and_deleted(url: str) -> None:
    client = redis_client(url, socket_timeout=5.0)
    client.flushdb()
    names = [f"entity {number}".encode() for number in range(500)]
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.execute_command("HSET", name, "a", name, "b", "x")
    assert pipe.execute() == [2] * len(names)
    assert sorted(client.scan_iter(b"entity *", count=100)) == sorted(names)
    for name in names:
        pipe.execute_command("HMGET", name, "a", "nobody")
    assert pipe.execute(raise_on_error=False) == [[name, None] for name in names]
    for name in names[::2]:
        pipe.execute_command("HDEL", name, "a", "b")
    assert pipe.execute() == [2] * 250
    assert len(list(client.scan_iter(b"entity *"))) == 250
    client.set("pointer", "one")
    assert client.execute_command("GET", "pointer") == b"one"


def test_the_client_of_asyncio_reads_what_the_other_wrote(url: str) -> None:
    redis_client(url).hset("entity", mapping={"a": "1"})

    async def read() -> Any:
        client = async_redis_client(url, socket_timeout=5.0)
        async with client.pipeline(transaction=False) as pipe:
            pipe.hmget("entity", ["a", "b"])
            replies = await pipe.execute()
        await close_async(client)
        return replies

    assert asyncio.run(read()) == [[b"1", None]]


def test_a_store_that_is_there_answers(url: str, tmp_path: Path) -> None:
    assert answers(Settings(home=tmp_path, redis_url=url))


@pytest.mark.parametrize(
    "url",
    [
        "redis://ann:secret@127.0.0.1:9",
        "redis+sentinel://ann:secret@127.0.0.1:9,127.0.0.1:10/ours?sentinel_password=secret",
        "redis+cluster://ann:secret@127.0.0.1:9,127.0.0.1:10",
    ],
)
def test_a_store_that_is_away_is_told_without_its_password(url: str, tmp_path: Path) -> None:
    assert not answers(Settings(home=tmp_path, redis_url=url))
    with pytest.raises((*REDIS_ERRORS, ServiceUnreachable)) as caught:
        redis_client(url).ping()
    assert "127.0.0.1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_option_of_another_type_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="socket_timeout"):
        redis_client("redis://127.0.0.1?socket_timeout=soon")
