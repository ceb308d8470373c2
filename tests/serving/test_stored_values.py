"""What the store should not hold is the store's fault, is told to the operator, and stalls
nobody."""

import asyncio
import math
import re
import struct
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop
from loop_holds import SERVER, Holds, memory_of
from redis_proxy import proxy
from redis_servers import Processes, RedisProcess

from potluck.contract.features import FeatureContract
from potluck.contract.fields import Field
from potluck.contract.publication import pointer_key, read_pointer, slot_fields
from potluck.contract.redis_format import (
    NULL,
    DamagedValueError,
    encode_value,
    entity_key,
    timestamp_field,
    value_reader,
)
from potluck.contract.settings import Settings
from potluck.redis.embedded import client
from potluck.scoring.releases import Releases
from serving.online.store import KeyCommand, OnlineStore

GET, HMGET = KeyCommand("GET"), KeyCommand("HMGET", b"a", b"b")
LARGE = 100 << 20
SECONDS = 2.0
LONGEST_HOLD = 0.1
INFINITE = b"\x29" + struct.pack("<d", math.inf)
NOT_A_NUMBER = b"\x29" + struct.pack("<d", math.nan)

FITTING = {
    "int64": [-(2**53), 0, 2**53],
    "int32": [-(2**31), 2**31 - 1],
    "float64": [-0.0, 1e308],
    "string": ["", "text"],
    "bool": [True, False],
}
OTHERS: dict[str, list[bytes]] = {
    "int64": [
        encode_value(1.0, "float64"),
        encode_value(True, "bool"),
        encode_value(2**53 + 1, "int64"),
    ],
    "int32": [encode_value("1", "string"), encode_value(2**31, "int64")],
    "float64": [encode_value(1, "int64"), encode_value("1.5", "string"), NOT_A_NUMBER],
    "string": [encode_value(1, "int64"), b"\x12\x05abc", b"\x12\x01\xff"],
    "bool": [encode_value(1, "int64"), encode_value("true", "string"), b"no value"],
}


@pytest.mark.parametrize("dtype", FITTING)
def test_a_value_is_read_as_its_declared_type_or_refused(dtype: Any) -> None:
    read = value_reader(Field("size", dtype, "online"))
    assert [read(encode_value(value, dtype)) for value in FITTING[dtype]] == FITTING[dtype]
    assert read(None) is read(NULL) is None
    for stored in OTHERS[dtype]:
        with pytest.raises(DamagedValueError, match="size"):
            read(stored)


def test_an_infinity_is_a_feature_and_no_answer() -> None:
    field = Field("size", "float64", "online")
    assert value_reader(field)(INFINITE) == math.inf
    with pytest.raises(DamagedValueError, match="size"):
        value_reader(field, answered=True)(INFINITE)


@pytest.fixture(scope="module")
def contract(iris: Any) -> FeatureContract:
    releases = Releases(iris.settings.releases)
    return releases.contract(releases.champion(iris.repo.hybrid))


@pytest.fixture
def record(iris: Any) -> dict[str, Any]:
    return dict(iris.population()[0])


@pytest.fixture
def key(contract: FeatureContract, record: dict[str, Any]) -> bytes:
    (field,) = contract.keys
    return entity_key(contract.project, [field.name], [record[field.name]], [field.dtype])


@pytest.fixture
def hash_of(iris: Any, key: bytes) -> Iterator[Any]:
    """The record's hash, which is put back afterwards."""
    redis = client(iris.settings)
    before = redis.hgetall(key)
    yield redis
    redis.delete(key)
    redis.hset(key, mapping=before)


def refused(server: Any, service: str) -> float:
    text = server.get("/metrics").text
    found = re.findall(
        rf'^potluck_stored_values_refused_total{{service="{service}"}} (\S+)$', text, re.MULTILINE
    )
    return float(found[0]) if found else 0.0


def store_is_to_blame(answer: Any) -> None:
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (503, "FEATURE_STORE_UNAVAILABLE"), body
    assert answer.headers["retry-after"] == "1"
    assert body["details"] == []


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"no value",
        NOT_A_NUMBER,
        encode_value("5.1", "string"),
        encode_value(5, "int64"),
    ],
)
def test_a_feature_of_another_type_is_the_stores_fault(
    iris: Any,
    contract: FeatureContract,
    record: dict[str, Any],
    key: bytes,
    hash_of: Any,
    stored: bytes,
) -> None:
    (view,) = contract.views
    path = f"/predict/{iris.repo.hybrid}"
    hash_of.hset(key, bytes.fromhex(view.field_ids[0]), stored)
    if not stored:  # protobuf's way to write null
        assert iris.post(path, record).status_code == 200
        return
    before = refused(iris, iris.repo.hybrid)
    store_is_to_blame(iris.post(path, record))
    neighbour = iris.population()[1]
    alone = iris.post(path, neighbour).json()["prediction"]
    body = iris.post(f"{path}/batch", {"dataframe_records": [record, neighbour]}).json()
    assert body["predictions"] == [None, alone]
    assert [error["error_code"] for error in body["errors"]] == ["FEATURE_STORE_UNAVAILABLE"]
    assert refused(iris, iris.repo.hybrid) == before + 2
    overridden = {**record, view.features[0]: 1.4}
    assert iris.post(path, overridden).json()["overridden"] == [view.features[0]]


def test_a_damaged_timestamp_and_a_key_of_another_kind_are_too(
    iris: Any, contract: FeatureContract, record: dict[str, Any], key: bytes, hash_of: Any
) -> None:
    path = f"/predict/{iris.repo.hybrid}"
    hash_of.hset(key, timestamp_field(contract.views[0].name), b"\xff")
    store_is_to_blame(iris.post(path, record))
    hash_of.delete(key)
    hash_of.set(key, "text")
    store_is_to_blame(iris.post(path, record))
    hash_of.delete(key)


def test_it_is_logged_once(
    iris: Any, contract: FeatureContract, record: dict[str, Any], key: bytes, hash_of: Any
) -> None:
    (view,) = contract.views
    log = iris.home / "server.log"
    before = len(log.read_text())
    with iris.second_server("--workers", "1") as server:
        for number in range(20):
            hash_of.hset(key, bytes.fromhex(view.field_ids[0]), encode_value(f"{number}", "string"))
            store_is_to_blame(server.post(f"/predict/{server.repo.hybrid}", record))
        assert refused(server, server.repo.hybrid) == 20
    lines = [
        line
        for line in log.read_text()[before:].splitlines()
        if "refuses what the online store holds" in line
    ]
    assert len(lines) == 1
    assert f"{view.features[0]} is declared float64" in lines[0]


@pytest.mark.parametrize(
    ("feature", "stored"),
    [
        ("prediction", encode_value(7, "int64")),
        ("prediction", NOT_A_NUMBER),
        ("prediction", INFINITE),
        ("prediction", NULL),
        ("probabilities", encode_value('{"setosa": NaN}', "string")),
        ("probabilities", encode_value('{"setosa": "much"}', "string")),
        ("probabilities", encode_value("[", "string")),
        ("probabilities", encode_value(1.0, "float64")),
        ("run_id", b"\x29\x00"),
    ],
)
def test_a_look_up_answers_no_other_type_and_no_nan(
    iris: Any,
    contract: FeatureContract,
    record: dict[str, Any],
    key: bytes,
    hash_of: Any,
    feature: str,
    stored: bytes,
) -> None:
    (publication,) = contract.publications
    pointer = read_pointer(hash_of.get(pointer_key(contract.project, publication.view)))
    assert pointer is not None
    names = [field.name for field in publication.features]
    own_key = entity_key(
        contract.project,
        [publication.key.name],
        [record[publication.key.name]],
        [publication.key.dtype],
    )
    assert own_key == key
    hash_of.hset(key, slot_fields(publication, pointer.slot)[names.index(feature)], stored)
    before = refused(iris, iris.repo.batch)
    entity = record[publication.key.name]
    store_is_to_blame(iris.get(f"/lookup/{iris.repo.batch}/{entity}"))
    body = iris.post(f"/lookup/{iris.repo.batch}", {"ids": [entity]}).json()
    assert body["predictions"] == [None]
    assert [error["error_code"] for error in body["errors"]] == ["FEATURE_STORE_UNAVAILABLE"]
    assert refused(iris, iris.repo.batch) == before + 2


Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return asyncio.run if request.param == "asyncio" else uvloop.run


@pytest.fixture(scope="module")
def large(shared_processes: Processes) -> RedisProcess:
    """A Redis with values that are too large, among many that are not."""
    server = shared_processes.start()
    fill(server)
    return server


def fill(server: RedisProcess) -> None:
    server.client.set("large text", b"x" * LARGE)
    server.client.hset("large hash", mapping={"a": b"x" * (LARGE // 2), "b": b"x"})
    server.client.hset("large in all", mapping={"a": b"x" * (3 << 18), "b": b"x" * (3 << 18)})
    server.client.hset("nearly large", mapping={"a": b"x" * (1 << 18), "b": b"x" * (1 << 19)})
    for number in range(200):
        server.client.hset(f"entity {number}", mapping={"a": f"{number}", "b": "b"})


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[OnlineStore]:
    store = OnlineStore(Settings(redis_url=url, redis_timeout=SECONDS))
    yield store
    await store.close()


async def entity(store: OnlineStore, number: int) -> None:
    assert await store.read([(HMGET, b"entity %d" % number)]) == [[b"%d" % number, b"b"]]


async def too_large(store: OnlineStore, key: bytes, command: KeyCommand = HMGET) -> None:
    first, reply, last = await store.read(
        [(HMGET, b"entity 1"), (command, key), (HMGET, b"entity 2")]
    )
    assert isinstance(reply, Exception)
    assert (first, last) == ([b"1", b"b"], [b"2", b"b"])


def test_a_reply_that_is_too_large_fails_alone(large: RedisProcess, run: Run) -> None:
    async def read() -> None:
        async with opened(f"unix://{large.socket}") as store:
            await entity(store, 0)
            await asyncio.gather(
                *(entity(store, number) for number in range(50)),
                too_large(store, b"large hash"),
                *(entity(store, number) for number in range(50, 100)),
                too_large(store, b"large text", GET),
                too_large(store, b"large in all"),
                *(entity(store, number) for number in range(100, 200)),
            )
            assert [len(reply[1]) for reply in await store.read([(HMGET, b"nearly large")])] == [
                1 << 19
            ]

    run(read())


def test_over_a_slow_line_too_nobody_waits_for_the_rest_of_it(large: RedisProcess) -> None:
    async def read() -> None:
        async with proxy(large) as between:
            between.pause = 0.0005  # for 64 KiB: 100 MB would take 0.8 s
            async with opened(f"redis://127.0.0.1:{between.port}") as store:
                await entity(store, 0)
                started = time.monotonic()
                await asyncio.gather(
                    too_large(store, b"large hash"), *(entity(store, n) for n in range(100))
                )
                assert time.monotonic() - started < SECONDS
                passed = between.passed
                await asyncio.gather(*(too_large(store, b"large hash") for _ in range(20)))
                assert between.passed == passed, (
                    "a key that was too large just now is not asked for"
                )

    asyncio.run(read())


def test_in_a_cluster_too(cluster: list[RedisProcess], run: Run) -> None:
    for number in range(200):
        redis = cluster_client(cluster)
        redis.hset(f"entity {number}", mapping={"a": f"{number}", "b": "b"})
    cluster_client(cluster).hset("large hash", mapping={"a": b"x" * LARGE, "b": b"x"})

    async def read() -> None:
        async with opened(f"redis+cluster://127.0.0.1:{cluster[0].port}") as store:
            await entity(store, 0)
            await asyncio.gather(
                *(entity(store, number) for number in range(100)),
                too_large(store, b"large hash"),
                *(entity(store, number) for number in range(100, 200)),
            )

    try:
        run(read())
    finally:
        cluster_client(cluster).delete("large hash")


def cluster_client(cluster: list[RedisProcess]) -> Any:
    from potluck.redis.client import redis_client

    return redis_client(f"redis+cluster://127.0.0.1:{cluster[0].port}")


@pytest.fixture
def copied(iris: Any, processes: Processes, monkeypatch: pytest.MonkeyPatch) -> RedisProcess:
    """The stack's store in a Redis that writes no file: 100 MB on a slow disk would stall Redis."""
    copy = processes.start()
    redis = client(iris.settings)
    for name in redis.scan_iter():
        copy.client.restore(name, 0, redis.dump(name))
    own = {**iris.environment, "REDIS_URL": f"unix://{copy.socket}", "POTLUCK_REDIS_TIMEOUT": "5"}
    monkeypatch.setattr(type(iris), "environment", own)
    return copy


def test_a_large_value_under_an_entity_a_row_and_the_pointer_stalls_no_server(
    iris: Any, contract: FeatureContract, record: dict[str, Any], key: bytes, copied: RedisProcess
) -> None:
    (view,), (publication,) = contract.views, contract.publications
    neighbour = iris.population()[1]
    entity_id, other_id = (row[publication.key.name] for row in (record, neighbour))
    with iris.second_server("--workers", "1", code=SERVER) as server:
        path, looked_up = f"/predict/{server.repo.hybrid}", f"/lookup/{server.repo.batch}"
        assert server.post(path, neighbour).status_code == 200
        large_fields = [bytes.fromhex(view.field_ids[0]), slot_fields(publication, "a")[0]]
        copied.client.hset(key, mapping=dict.fromkeys(large_fields, b"x" * LARGE))
        holds, memory = Holds(server.home), memory_of(server)
        for _ in range(5):
            store_is_to_blame(server.post(path, record))
            store_is_to_blame(server.get(f"{looked_up}/{entity_id}"))
            assert server.post(path, neighbour).status_code == 200
            assert server.get(f"{looked_up}/{other_id}").status_code == 200
        copied.client.set(pointer_key(contract.project, publication.view), b"x" * LARGE)
        store_is_to_blame(server.get(f"{looked_up}/{other_id}"))
        assert server.post(path, neighbour).status_code == 200
        assert holds.longest() < LONGEST_HOLD
        assert memory_of(server, "VmHWM") - memory < 32
