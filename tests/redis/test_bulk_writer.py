"""Rows written in bulk are in Redis, or the error says why not; nobody waits for a Redis that is
gone."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from redis_proxy import proxy
from redis_servers import Processes, RedisProcess

from potluck.contract.errors import ServiceUnreachable
from potluck.redis import bulk_writer
from potluck.redis.bulk_writer import BulkWriter
from potluck.redis.client import redis_client


def names(count: int, prefix: str = "key") -> Any:
    return pa.array([f"{prefix}-{number}".encode() for number in range(count)], pa.binary())


def values(count: int, size: int = 8) -> Any:
    return pa.array([b"%0*d" % (size, number) for number in range(count)], pa.binary())


@pytest.fixture(scope="module")
def server(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture
def client(server: RedisProcess) -> Iterator[Any]:
    found = redis_client(f"redis://127.0.0.1:{server.port}", socket_timeout=10.0)
    found.flushall()
    yield found
    found.close()


def test_every_row_is_written_with_all_fields(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_writer, "CHUNK_ROWS", 700)
    keys, text = names(5000), values(5000, 300)
    with BulkWriter(client) as writer:
        writer.write(keys, [(b"same", b"for all"), (b"own", text), (b"\x00\r\n", b"")])
    assert (writer.written, writer.refused) == (5000, 0)
    assert client.dbsize() == 5000
    assert client.hgetall(b"key-4321") == {
        b"same": b"for all",
        b"own": text[4321].as_py(),
        b"\x00\r\n": b"",
    }


def test_chunks_are_bounded_in_bytes(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_writer, "CHUNK_BYTES", 1000)
    text = pa.array([b"x" * size for size in (0, 3000, 10, 990, 5, 5000)], pa.binary())
    with BulkWriter(client) as writer:
        writer.write(names(6), [(b"f", text)])
    assert [len(client.hget(f"key-{number}", "f")) for number in range(6)] == [
        0,
        3000,
        10,
        990,
        5,
        5000,
    ]


def test_of_a_key_that_comes_twice_the_last_row_stays(client: Any) -> None:
    with BulkWriter(client) as writer:
        writer.write(
            pa.array([b"k", b"k"], pa.binary()), [(b"f", pa.array([b"1", b"2"], pa.binary()))]
        )
    assert client.hget("k", "f") == b"2"


def test_no_rows_are_no_commands(client: Any) -> None:
    with BulkWriter(client) as writer:
        writer.write(names(0), [(b"f", values(0))])
        writer.delete(names(0), [b"f"])
        assert [len(column) for column in writer.read(names(0), [b"f", b"g"])] == [0, 0]
    assert writer.written == 0


def test_fields_are_deleted_and_counted_by_row(client: Any) -> None:
    client.hset("key-1", mapping={"a": 1, "b": 2, "c": 3})
    client.hset("key-3", mapping={"a": 1})
    with BulkWriter(client) as writer:
        writer.delete(names(5), [b"a", b"b"])
    assert writer.deleted == 2
    assert client.hgetall("key-1") == {b"c": b"3"}
    assert not client.exists("key-3")


def test_fields_are_read_of_every_row(client: Any) -> None:
    client.hset("key-1", mapping={"f": "there", "g": ""})
    client.set("key-2", "no hash")
    client.hset("key-3", "g", "alone")
    with BulkWriter(client) as writer:
        found = [column.to_pylist() for column in writer.read(names(4), [b"f", b"g"])]
    assert found == [[None, b"there", None, None], [None, b"", None, b"alone"]]


def test_keys_can_expire(client: Any) -> None:
    with BulkWriter(client) as writer:
        writer.write(names(3), [(b"f", b"1")])
        writer.expire(names(2), 100)
    assert [client.ttl(f"key-{number}") for number in range(3)] == [100, 100, -1]


def test_a_key_that_holds_something_else_is_named_and_its_neighbours_are_written(
    client: Any,
) -> None:
    for number in range(25):
        client.set(f"key-{number * 3}", "no hash")
    with BulkWriter(client) as writer:
        writer.write(names(300), [(b"f", b"1")])
    assert (writer.written, writer.refused) == (275, 25)
    assert [key for key, _ in writer.rejected] == [
        f"key-{number * 3}".encode() for number in range(20)
    ]
    assert writer.rejected[0][1].startswith("WRONGTYPE")
    assert client.hget("key-1", "f") == client.hget("key-299", "f") == b"1"


def test_a_full_redis_is_said_and_nothing_more_is_sent(processes: Processes) -> None:
    server = processes.start("--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
    client = redis_client(f"redis://127.0.0.1:{server.port}", socket_timeout=10.0)
    writer = BulkWriter(client)
    with pytest.raises(ServiceUnreachable, match=r"OOM .*raise its maxmemory"), writer:
        writer.write(names(100_000), [(b"f", values(100_000, 100))])
    assert 0 < writer.written < 100_000
    with pytest.raises(ServiceUnreachable):
        writer.write(names(1), [(b"f", b"1")])
    assert len(client.client_list()) == 1, "its own connection is closed"


def test_a_redis_that_is_killed_midway_is_an_error(processes: Processes) -> None:
    server = processes.start()
    client = redis_client(f"redis://127.0.0.1:{server.port}", socket_timeout=10.0)
    threading.Timer(0.3, server.kill).start()
    started = time.monotonic()
    with pytest.raises(ServiceUnreachable, match="did not take all rows"):
        write_for(client, seconds=30)
    assert time.monotonic() - started < 20


def write_for(client: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with BulkWriter(client) as writer:
        while time.monotonic() < deadline:
            writer.write(names(2000), [(b"f", values(2000))])


@pytest.mark.parametrize("rows", [10, 2_000_000])
def test_a_frozen_redis_is_given_up_after_the_socket_timeout(
    processes: Processes, rows: int
) -> None:
    """A few rows wait for their replies; with many the sending comes to a halt first."""
    server = processes.start()
    writer = BulkWriter(redis_client(f"redis://127.0.0.1:{server.port}", socket_timeout=0.5))
    with server.frozen():
        with pytest.raises(ServiceUnreachable, match=r"nothing came or went for 0\.5 s"):
            write_and_flush(writer, names(10_000).take(pa.array(np.arange(rows) % 10_000)))
        with pytest.raises(ServiceUnreachable):
            writer.write(names(1), [(b"f", b"1")])
        with pytest.raises(ServiceUnreachable):
            writer.flush()
        writer.close()


def write_and_flush(writer: BulkWriter, keys: Any) -> None:
    writer.write(keys, [(b"f", b"1" * 100)])
    writer.flush()


def test_a_redis_that_is_not_there_is_an_error_at_once(processes: Processes) -> None:
    server = processes.start()
    server.kill()
    with pytest.raises(ServiceUnreachable, match="check REDIS_URL"):
        BulkWriter(redis_client(f"redis://127.0.0.1:{server.port}"))


def test_a_replica_is_refused(processes: Processes) -> None:
    first = processes.start()
    replica = processes.start("--replicaof", "127.0.0.1", str(first.port))
    client = redis_client(f"redis://127.0.0.1:{replica.port}", socket_timeout=10.0)
    with pytest.raises(ServiceUnreachable, match="name the primary"), BulkWriter(client) as writer:
        writer.write(names(10), [(b"f", b"1")])


def test_passwords_and_sockets_are_redis_pys(processes: Processes) -> None:
    server = processes.start("--unixsocketperm", "700", password="secret")
    client = redis_client(f"unix://:secret@{server.socket}", socket_timeout=10.0)
    with BulkWriter(client) as writer:
        writer.write(names(10), [(b"f", b"1")])
    assert client.dbsize() == 10


def test_a_master_behind_sentinel(processes: Processes) -> None:
    master = processes.start()
    sentinel = processes.sentinel(master, "ours")
    client = redis_client(f"redis+sentinel://127.0.0.1:{sentinel.port}/ours/2", socket_timeout=10.0)
    with BulkWriter(client) as writer:
        writer.write(names(10), [(b"f", b"1")])
    assert client.dbsize() == 10


def test_rows_and_replies_go_through_tls(
    server: RedisProcess, client: Any, certificate: Path
) -> None:
    async def write_through_proxy() -> None:
        async with proxy(server, certificate) as between:
            url = f"rediss://127.0.0.1:{between.port}?ssl_ca_certs={certificate}"
            await asyncio.to_thread(write_and_read, url)

    asyncio.run(write_through_proxy())
    assert client.dbsize() == 50_000


def write_and_read(url: str) -> None:
    keys, text = names(50_000), values(50_000, 200)
    with BulkWriter(redis_client(url, socket_timeout=10.0)) as writer:
        writer.write(keys, [(b"f", text)])
        assert writer.read(keys, [b"f"])[0].equals(text)


def test_an_error_of_the_caller_ends_the_writer(client: Any) -> None:
    writer = BulkWriter(client)
    with contextlib.suppress(KeyError), writer:
        raise KeyError
    assert not any(lane.thread.is_alive() for lane in writer.lanes)


def test_a_cluster_gets_each_row_on_its_node(cluster: list[RedisProcess]) -> None:
    client = redis_client(f"redis+cluster://127.0.0.1:{cluster[0].port}", socket_timeout=10.0)
    keys = pa.concat_arrays(
        [names(3000, "row"), pa.array([b"a{row-1}", b"{}x", b"b{row-2}{q}"], pa.binary())]
    )
    text = pa.array([b"%d" % number for number in range(3003)], pa.binary())
    with BulkWriter(client) as writer:
        writer.write(keys, [(b"f", text)])
        assert writer.read(keys, [b"f"])[0].to_pylist() == text.to_pylist()
    assert writer.written == 3003
    assert len(writer.lanes) == 3
    picked = np.random.default_rng(0).integers(0, 3003, 50).tolist()
    assert [client.hget(keys[row].as_py(), "f") for row in picked] == [
        text[row].as_py() for row in picked
    ]
    with BulkWriter(client) as writer:
        writer.delete(keys, [b"f"])
    assert writer.deleted == 3003


def test_a_client_that_knows_the_cluster_as_it_was_asks_again(cluster: list[RedisProcess]) -> None:
    client = redis_client(f"redis+cluster://127.0.0.1:{cluster[0].port}", socket_timeout=10.0)
    slots = client.nodes_manager.slots_cache  # type: ignore[union-attr]
    for slot in slots:
        slots[slot] = slots[0]
    with BulkWriter(client) as writer:
        writer.write(names(100), [(b"f", b"1")])
    assert writer.written == 100


def test_one_node_of_a_cluster_alone_says_that_it_is_one(cluster: list[RedisProcess]) -> None:
    client = redis_client(f"redis://127.0.0.1:{cluster[0].port}", socket_timeout=10.0)
    with (
        pytest.raises(ServiceUnreachable, match=r"MOVED .* name it as a cluster"),
        BulkWriter(client) as writer,
    ):
        writer.write(names(100), [(b"f", b"1")])
