"""Feast's own calls on our online store: pushes in stock's bytes, reads that tell what is missing
and why."""

import asyncio
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import Entity, PushSource, ValueType
from feast.data_source import PushMode
from feast.infra.online_stores.helpers import _mmh3
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float64, Int64, String
from online_stores import END, START, dumps, open_store, view_of, write_rows
from redis_servers import Processes, RedisProcess

from potluck.contract.publication import Pointer, pointer_key
from potluck.contract.redis_format import encode_timestamp, encode_value, entity_key
from potluck.redis.key_scan import readable_key

HOUSE = Entity(name="house", join_keys=["id"], value_type=ValueType.INT64)
NOON = datetime(2024, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)
PRESENT, NOT_FOUND, OUTSIDE = (
    FieldStatus.PRESENT,
    FieldStatus.NOT_FOUND,
    FieldStatus.OUTSIDE_MAX_AGE,
)
FEATURES = {"x": Float64, "n": Int64, "s": String}


@pytest.fixture(scope="module")
def redis(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture(autouse=True)
def emptied(redis: RedisProcess) -> Iterator[None]:
    yield
    redis.client.flushall()


def frame(
    ids: list[int], moments: list[datetime] | None = None, xs: list[float] | None = None
) -> pd.DataFrame:
    count = len(ids)
    return pd.DataFrame(
        {
            "id": ids,
            "x": xs or [float(number) for number in range(count)],
            "n": range(count),
            "s": [None if number == 1 else f"t{number}" for number in range(count)],
            "event_timestamp": moments or [NOON] * count,
        }
    )


def definitions(folder: Path, **options: Any) -> list[Any]:
    source = write_rows(folder, pa.Table.from_pandas(frame([1]), preserve_index=False))
    pushed = PushSource(name="pushed", batch_source=source)
    return [HOUSE, pushed, view_of(pushed, [HOUSE], FEATURES, **options)]


def opened(
    folder: Path, redis: RedisProcess, ours: bool = True, online: Any = None, **options: Any
) -> Any:
    return open_store(folder, redis, definitions(folder, **options), ours=ours, **(online or {}))


def key(number: int) -> bytes:
    return entity_key("shop", ["id"], [number], ["int64"])


def read(store: Any, *ids: int, features: tuple[str, ...] = ("x",)) -> Any:
    """Values and statuses of each feature."""
    response = store.get_online_features(
        [f"numbers:{name}" for name in features], [{"id": i} for i in ids]
    )
    names = list(response.proto.metadata.feature_names.val)
    statuses = {name: list(response.proto.results[names.index(name)].statuses) for name in features}
    return {name: (response.to_dict()[name], statuses[name]) for name in features}


@pytest.mark.parametrize("verb", ["push", "write_to_online_store"])
def test_what_is_written_row_by_row_has_stocks_bytes_but_for_the_mark(
    tmp_path: Path, redis: RedisProcess, verb: str
) -> None:
    found = []
    for ours in (False, True):
        store = opened(tmp_path, redis, ours)
        if verb == "push":
            store.push("pushed", frame([1, 2, -3]), to=PushMode.ONLINE)
        else:
            store.write_to_online_store("numbers", frame([1, 2, -3]))
        marked = [redis.client.hdel(name, "_pushed:numbers") for name in redis.client.keys("*")]
        assert marked == [int(ours)] * 3
        found.append(dumps(redis))
    assert len(found[0]) == 3
    assert found[0] == found[1]


def test_stock_feast_reads_what_we_wrote_and_we_read_what_it_wrote(
    tmp_path: Path, redis: RedisProcess
) -> None:
    stores = [opened(tmp_path, redis, ours) for ours in (False, True)]
    for writer in stores:
        writer.write_to_online_store("numbers", frame([1, 2, 3]))
        answers = [
            reader.get_online_features(
                [f"numbers:{name}" for name in FEATURES], [{"id": i} for i in (3, 1, 2)]
            ).to_dict()
            for reader in stores
        ]
        assert answers[0] == answers[1]
        assert answers[0]["s"] == ["t2", "t0", None]
        redis.client.flushall()


def test_of_an_entity_that_comes_twice_the_newest_row_stays(
    tmp_path: Path, redis: RedisProcess
) -> None:
    store = opened(tmp_path, redis)
    day = timedelta(days=1)
    moments = [NOON, NOON - day, NOON, NOON - 2 * day, NOON - day]
    store.write_to_online_store(
        "numbers", frame([1, 1, 1, 2, 2], moments, [1.0, 2.0, 3.0, 4.0, 5.0])
    )
    assert read(store, 1, 2)["x"][0] == [3.0, 5.0]


def test_a_pushed_row_that_is_older_is_skipped(tmp_path: Path, redis: RedisProcess) -> None:
    store = opened(tmp_path, redis)
    store.push("pushed", frame([1], [NOON], [2.0]))
    store.push("pushed", frame([1], [NOON - timedelta(seconds=1)], [1.0]))
    assert read(store, 1)["x"][0] == [2.0]
    store.push("pushed", frame([1], [NOON], [3.0]))
    assert read(store, 1)["x"][0] == [3.0]


def test_a_damaged_stored_timestamp_is_overwritten(tmp_path: Path, redis: RedisProcess) -> None:
    store = opened(tmp_path, redis)
    redis.client.hset(key(1), "_ts:numbers", b"\x08\xff\xff")
    store.push("pushed", frame([1], [NOON], [2.0]))
    assert read(store, 1)["x"][0] == [2.0]


def test_progress_counts_every_row(tmp_path: Path, redis: RedisProcess) -> None:
    store = opened(tmp_path, redis)
    told: list[int] = []
    provider = store._get_provider()
    rows = provider._prep_rows_to_write_for_ingestion(
        store.get_feature_view("numbers"), frame([1, 2, 3]), {}
    )
    provider.online_store.online_write_batch(
        store.config, store.get_feature_view("numbers"), rows, told.append
    )
    assert sum(told) == 3


def test_rows_may_hold_different_features(tmp_path: Path, redis: RedisProcess) -> None:
    store = opened(tmp_path, redis)
    provider, view = store._get_provider(), store.get_feature_view("numbers")
    rows = provider._prep_rows_to_write_for_ingestion(view, frame([1, 2]), {})
    rows[1][1].pop("x")
    provider.online_store.online_write_batch(store.config, view, rows, None)
    assert read(store, 1, 2, features=("x", "n")) == {
        "x": ([0.0, None], [PRESENT, NOT_FOUND]),
        "n": ([0, 1], [PRESENT, PRESENT]),
    }


def test_an_async_write_and_read(tmp_path: Path, redis: RedisProcess) -> None:
    store = opened(tmp_path, redis, ttl=timedelta(days=400))
    provider, view = store._get_provider(), store.get_feature_view("numbers")
    fresh = datetime.now(UTC)
    rows = provider._prep_rows_to_write_for_ingestion(view, frame([1, 2], [fresh, NOON]), {})

    async def both() -> Any:
        await provider.online_store.online_write_batch_async(store.config, view, rows, None)
        features = await store.get_online_features_async(
            ["numbers:x"], [{"id": i} for i in (1, 2, 3)]
        )
        direct = await provider.online_store.online_read_async(
            store.config, view, [rows[0][0]], ["x"]
        )
        await provider.online_store._client_async.aclose()
        return features, direct

    features, direct = asyncio.run(both())
    assert features.to_dict()["x"] == [0.0, None, None]
    assert list(features.proto.results[1].statuses) == [PRESENT, OUTSIDE, NOT_FOUND]
    assert direct[0][1]["x"].double_val == 0.0


def test_an_unknown_entity_is_not_found(tmp_path: Path, redis: RedisProcess) -> None:
    store = opened(tmp_path, redis)
    store.write_to_online_store("numbers", frame([1, 2]))
    assert read(store, 1, 9, 2, 9, features=("x", "s")) == {
        "x": ([0.0, None, 1.0, None], [PRESENT, NOT_FOUND, PRESENT, NOT_FOUND]),
        "s": (["t0", None, None, None], [PRESENT, NOT_FOUND, PRESENT, NOT_FOUND]),
    }


def test_a_value_older_than_the_views_ttl_is_none(tmp_path: Path, redis: RedisProcess) -> None:
    store = opened(tmp_path, redis, ttl=timedelta(hours=1))
    now = datetime.now(UTC)
    store.write_to_online_store(
        "numbers", frame([1, 2], [now - timedelta(minutes=59), now - timedelta(minutes=61)])
    )
    assert read(store, 1, 2, 3)["x"] == ([0.0, None, None], [PRESENT, OUTSIDE, NOT_FOUND])


def test_a_poisoned_key_and_a_damaged_value_leave_their_neighbours(
    tmp_path: Path, redis: RedisProcess
) -> None:
    store = opened(tmp_path, redis)
    store.write_to_online_store("numbers", frame([1, 3, 4, 5]))
    redis.client.set(key(2), "no hash")
    redis.client.hset(key(3), _mmh3("numbers:x"), b"\x29\x01")
    redis.client.hset(key(4), "_ts:numbers", b"\x08\xff")
    assert read(store, 1, 2, 3, 4, 5, features=("x", "n")) == {
        "x": ([0.0, None, None, None, 3.0], [PRESENT, NOT_FOUND, NOT_FOUND, NOT_FOUND, PRESENT]),
        "n": ([0, None, 1, None, 3], [PRESENT, NOT_FOUND, PRESENT, NOT_FOUND, PRESENT]),
    }


def test_deleting_a_view_leaves_the_others_and_longer_project_names(
    tmp_path: Path, redis: RedisProcess
) -> None:
    """Stock's `teardown` of `shop` empties `workshop` as well."""
    defined = definitions(tmp_path)
    views = [*defined, view_of(defined[1], [HOUSE], FEATURES, "others")]
    stores = {
        name: open_store(tmp_path, redis, views, ours=True, project=name)
        for name in ("shop", "workshop")
    }
    for store in stores.values():
        for view in ("numbers", "others"):
            store.write_to_online_store(view, frame([1, 2]))
    online, config = stores["shop"]._get_provider().online_store, stores["shop"].config
    online.delete_table(config, stores["shop"].get_feature_view("numbers"))
    assert read(stores["shop"], 1)["x"] == ([None], [NOT_FOUND])
    assert stores["shop"].get_online_features(["others:x"], [{"id": 1}]).to_dict()["x"] == [0.0]
    online.teardown(config, [stores["shop"].get_feature_view("others")], [HOUSE])
    assert len(redis.client.keys("*")) == 2
    assert read(stores["workshop"], 1, 2)["x"][0] == [0.0, 1.0]


# published runs

PREDICTIONS = {"prediction": Float64, "run_id": String, "model_version": String}
POINTER = Pointer(slot="b", run_id="run-2", as_of=NOON, model_version="2", rows=2)


def put(redis: RedisProcess, number: int, slot: str, run: str, prediction: float) -> None:
    values = {
        "prediction": (prediction, "float64"),
        "run_id": (run, "string"),
        "model_version": ("2", "string"),
    }
    fields = {
        _mmh3(f"scores__{slot}:{name}"): encode_value(*value) for name, value in values.items()
    }
    redis.client.hset(
        key(number), mapping={f"_ts:scores__{slot}": encode_timestamp(NOON), **fields}
    )


@pytest.fixture
def published(tmp_path: Path, redis: RedisProcess) -> Any:
    source = write_rows(tmp_path, pa.table({"id": [1], "event_timestamp": [NOON]}), "scores_source")
    for number, run in ((1, "run-2"), (2, "run-1")):
        put(redis, number, "a", "run-1", 10.0 + number)
        put(redis, number, "b", run, 20.0 + number)
    return open_store(
        tmp_path, redis, [HOUSE, view_of(source, [HOUSE], PREDICTIONS, "scores")], ours=True
    )


def scores(store: Any, *names: str) -> Any:
    response = store.get_online_features(
        [f"scores:{name}" for name in names], [{"id": i} for i in (1, 2, 3)]
    )
    return response.to_dict()[names[0]], list(response.proto.results[1].statuses)


@pytest.mark.parametrize("names", [("prediction",), ("prediction", "run_id")])
def test_only_the_published_run_is_read(
    published: Any, redis: RedisProcess, names: tuple[str, ...]
) -> None:
    """The row of house 2 was left behind by a run that is no longer published."""
    redis.client.set(pointer_key("shop", "scores"), POINTER.to_json())
    assert scores(published, *names) == ([21.0, None, None], [PRESENT, NOT_FOUND, NOT_FOUND])


@pytest.mark.parametrize("damaged", [None, b"{}", b"list"])
def test_without_a_sound_pointer_nothing_is_published(
    published: Any, redis: RedisProcess, damaged: bytes | None
) -> None:
    if damaged == b"list":
        redis.client.lpush(pointer_key("shop", "scores"), "x")
    elif damaged:
        redis.client.set(pointer_key("shop", "scores"), damaged)
    assert scores(published, "prediction") == ([None] * 3, [NOT_FOUND] * 3)


@pytest.mark.parametrize(
    ("names", "values", "dtypes", "text"),
    [
        (["Id"], [-91], ["int64"], "Id=-91"),
        (["b", "a"], ["köln", 5], ["string", "int32"], "a=5, b=köln"),
    ],
)
def test_a_key_can_be_read_by_people(
    names: list[str], values: list[Any], dtypes: list[str], text: str
) -> None:
    assert readable_key(entity_key("shop", names, values, dtypes)) == text
    assert readable_key(struct.pack("<I", 0) + b"shop") == ""


def test_null_as_others_write_it_is_none(tmp_path: Path, redis: RedisProcess) -> None:
    store = opened(tmp_path, redis)
    store.write_to_online_store("numbers", frame([1]))
    redis.client.hset(key(1), _mmh3("numbers:x"), Value(null_val=0).SerializeToString())
    assert read(store, 1)["x"] == ([None], [PRESENT])


def test_materialize_and_push_meet_in_one_store(tmp_path: Path, redis: RedisProcess) -> None:
    store = opened(tmp_path, redis)
    store.push("pushed", frame([1], [NOON + timedelta(days=1)], [7.0]))
    store.materialize(START, END)
    assert read(store, 1)["x"][0] == [7.0]


def test_another_redis_than_the_homes_own_starts_none_at_home(
    tmp_path: Path, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "home"))
    opened(tmp_path, redis).write_to_online_store("numbers", frame([1]))
    assert redis.client.dbsize() == 1
    assert not (tmp_path / "home").exists()
