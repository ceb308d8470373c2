"""`feast materialize` with our engine and store leaves in Redis what stock Feast leaves, to the
byte."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import Entity, FeatureView, PushSource, ValueType
from feast.batch_feature_view import BatchFeatureView
from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, String, UnixTimestamp
from online_stores import END, START, dumps, open_store, view_of, write_rows
from redis_servers import Processes, RedisProcess

from potluck.contract.errors import ServiceUnreachable
from potluck.contract.redis_format import decode_timestamp, entity_key
from potluck.redis.resp_stream import key_hashes
from potluck.stores.feast_plugins import batch_engine as engine
from potluck.stores.feast_plugins import job_rows
from potluck.stores.feast_plugins.prune import prune_view, sorted_hashes
from potluck.stores.feast_plugins.session import Session

MOMENTS = [
    datetime(1969, 12, 31, 23, 59, 59, 250_000),
    datetime(1970, 1, 1),
    datetime(2024, 2, 29, 1, 2, 3, 400_001),
]
HOUSE = Entity(name="house", join_keys=["id"], value_type=ValueType.INT64)
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)

FEATURES: dict[str, tuple[Any, Any]] = {
    "a_float64": (Float64, pa.array([-0.0, None, 1e300])),
    "b_nan": (Float64, pa.array([float("nan"), float("inf"), 2.5])),
    "c_int64": (Int64, pa.array([-1, 2**53, 127])),
    "d_nulls": (Int64, pa.array([None, 5, -6])),
    "e_int32": (Int32, pa.array([-(2**31), 0, 300], pa.int32())),
    "f_string": (String, pa.array(["", "ä" * 90, None])),
    "g_bool": (Bool, pa.array([True, None, False])),
    "h_float32": (Float32, pa.array([0.1, None, -2.5], pa.float32())),
    "i_bytes": (Bytes, pa.array([b"", b"\xff" * 200, None])),
    "j_time": (UnixTimestamp, pa.array(MOMENTS, pa.timestamp("us"))),
    "k_all_null": (String, pa.array([None, None, None], pa.string())),
    "l_floats": (Array(Float64), pa.array([[1.0, -2.0], [], [3.0]])),
    "m_texts": (Array(String), pa.array([["a", ""], ["b"], ["c"]])),
    "n_numbers": (Array(Int64), pa.array([[1, -2], [3], [4]])),
}


@pytest.fixture(scope="module")
def redis(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture(autouse=True)
def emptied(redis: RedisProcess) -> Iterator[None]:
    yield
    redis.client.flushall()


def times(*moments: datetime) -> Any:
    return pa.array(moments, pa.timestamp("us", tz="UTC"))


def filled(
    folder: Path, redis: RedisProcess, definitions: list[Any], **options: Any
) -> dict[str, dict[bytes, bytes]]:
    """What stock and ours leave in Redis."""
    found = {}
    for who in ("stock", "ours"):
        store = open_store(folder, redis, definitions, ours=who == "ours", **options)
        store.materialize(START, END)
        found[who] = dumps(redis)
    return found


def test_every_value_type_is_stored_as_by_stock_feast(tmp_path: Path, redis: RedisProcess) -> None:
    table = pa.table(
        {
            "id": [1, -2, 3],
            **{name: column for name, (_, column) in FEATURES.items()},
            "event_timestamp": times(*MOMENTS),
        }
    )
    dtypes = {name: dtype for name, (dtype, _) in FEATURES.items()}
    found = filled(tmp_path, redis, [HOUSE, view_of(write_rows(tmp_path, table), [HOUSE], dtypes)])
    assert len(found["ours"]) == 3
    assert found["ours"] == found["stock"]


KEYS = {
    "string": (ValueType.STRING, pa.array(["", "köln", "{x}y"])),
    "int32": (ValueType.INT32, pa.array([-1, 0, 2**31 - 1], pa.int32())),
    "int64": (ValueType.INT64, pa.array([-1, 0, 2**62])),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_type(tmp_path: Path, redis: RedisProcess, kind: str) -> None:
    value_type, column = KEYS[kind]
    entity = Entity(name="thing", join_keys=["key"], value_type=value_type)
    table = pa.table(
        {"key": column, "x": [1.0, 2.0, 3.0], "event_timestamp": times(NOON, NOON, NOON)}
    )
    found = filled(
        tmp_path, redis, [entity, view_of(write_rows(tmp_path, table), [entity], {"x": Float64})]
    )
    assert found["ours"] == found["stock"]
    expected = [entity_key("shop", ["key"], [value], [kind]) for value in column.to_pylist()]
    assert sorted(found["ours"]) == sorted(expected)


def test_composite_keys_and_several_views_of_an_entity(tmp_path: Path, redis: RedisProcess) -> None:
    shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING)
    table = pa.table(
        {"shop_id": ["b", "a", "b"], "id": [1, 1, 2], "x": [1.0, 2.0, 3.0], "y": ["u", None, "w"],
         "event_timestamp": times(NOON, NOON, NOON)}
    )  # fmt: skip
    source = write_rows(tmp_path, table)
    views = [
        view_of(source, [shop, HOUSE], {"x": Float64}, "one"),
        view_of(source, [HOUSE, shop], {"y": String}, "two"),
    ]
    found = filled(tmp_path, redis, [HOUSE, shop, *views])
    assert len(found["ours"]) == 3
    assert found["ours"] == found["stock"]


def test_columns_of_another_name_are_mapped(tmp_path: Path, redis: RedisProcess) -> None:
    table = pa.table({"nr": [1, 2], "wert": [1.5, 2.5], "event_timestamp": times(NOON, NOON)})
    source = write_rows(tmp_path, table)
    source.field_mapping = {"nr": "id", "wert": "x"}
    found = filled(tmp_path, redis, [HOUSE, view_of(source, [HOUSE], {"x": Float64})])
    assert len(found["ours"]) == 2
    assert found["ours"] == found["stock"]


def test_a_view_that_takes_pushes_is_filled_as_by_stock_feast_and_without_its_engine(
    tmp_path: Path, redis: RedisProcess
) -> None:
    table = pa.table(
        {"id": [1, 2, 2], "x": [1.5, 2.5, 3.5], "event_timestamp": times(NOON, NOON, MOMENTS[0])}
    )
    pushed = PushSource(name="pushed", batch_source=write_rows(tmp_path, table))
    found = filled(tmp_path, redis, [HOUSE, pushed, view_of(pushed, [HOUSE], {"x": Float64})])
    assert len(found["ours"]) == 2
    assert found["ours"] == found["stock"]
    store = open_store(
        tmp_path, redis, [HOUSE, pushed, view_of(pushed, [HOUSE], {"x": Float64})], ours=True
    )
    assert engine.is_plain(store.get_feature_view("numbers"))


def test_the_latest_record_within_the_interval_is_taken(
    tmp_path: Path, redis: RedisProcess
) -> None:
    days = [NOON + timedelta(days=day) for day in (2, 0, 1, 9)]
    table = pa.table(
        {"id": [1, 1, 1, 1], "x": [2.0, 0.0, 1.0, 9.0], "event_timestamp": times(*days)}
    )
    view = view_of(write_rows(tmp_path, table), [HOUSE], {"x": Float64})
    store = open_store(tmp_path, redis, [HOUSE, view], ours=True)
    store.materialize(START, NOON + timedelta(days=5))
    assert store.get_online_features(["numbers:x"], [{"id": 1}]).to_dict()["x"] == [2.0]


def test_many_batches_and_an_expiring_key(
    tmp_path: Path, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_rows, "BATCH_ROWS", 70)
    table = pa.table(
        {"id": np.arange(1000), "x": np.arange(1000.0), "event_timestamp": times(*[NOON] * 1000)}
    )
    view = view_of(write_rows(tmp_path, table), [HOUSE], {"x": Float64})
    store = open_store(tmp_path, redis, [HOUSE, view], ours=True, key_ttl_seconds=500)
    told: list[tuple[str, int, int | None]] = []
    online = store._get_provider().online_store
    online.session = session = Session(progress=lambda *step: told.append(step))
    store.materialize(START, END)
    assert redis.client.dbsize() == 1000
    assert 0 < redis.client.ttl(redis.client.randomkey()) <= 500
    assert told[-1] == ("numbers", 1000, None)
    assert len(told) >= 1000 / 70
    assert len(sorted_hashes(session.keys["numbers"])) == 1000
    assert session.written["numbers"].written == 1000


@pytest.mark.parametrize("attribute", ["to_arrow", "to_record_batches"])
def test_jobs_that_stream_and_jobs_that_answer_a_table(
    attribute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_rows, "BATCH_ROWS", 3)
    table = pa.table({"id": range(8)})
    answers = {"to_arrow": table, "to_record_batches": table.to_batches()}
    job = type("Job", (), {attribute: lambda self: answers[attribute]})()
    got = list(job_rows.record_batches(job))
    assert [batch.num_rows for batch, _ in got] == [3, 3, 2]
    assert pa.Table.from_batches([batch for batch, _ in got]) == table
    assert {total for _, total in got} == {8 if attribute == "to_arrow" else None}


def test_an_empty_table_writes_nothing(tmp_path: Path, redis: RedisProcess) -> None:
    table = pa.table(
        {
            "id": pa.array([], pa.int64()),
            "x": pa.array([], pa.float64()),
            "event_timestamp": times(),
        }
    )
    store = open_store(
        tmp_path,
        redis,
        [HOUSE, view_of(write_rows(tmp_path, table), [HOUSE], {"x": Float64})],
        True,
    )
    store.materialize(START, END)
    assert redis.client.dbsize() == 0


def test_rows_without_key_are_left_out_and_told_with_view_source_and_place(
    tmp_path: Path, redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    table = pa.table(
        {"id": [1, None, 2, None], "x": [1.0, 2.0, 3.0, 4.0], "event_timestamp": times(*[NOON] * 4)}
    )
    store = open_store(
        tmp_path,
        redis,
        [HOUSE, view_of(write_rows(tmp_path, table), [HOUSE], {"x": Float64})],
        True,
    )
    with caplog.at_level(logging.WARNING, "potluck.stores"):
        store.materialize(START, END)
    assert redis.client.dbsize() == 2
    assert "view numbers, rows from source rows, left out: 2 no key (row 2, row 4)" in caplog.text


def test_what_needs_a_transformation_is_left_to_feasts_engine(
    tmp_path: Path, redis: RedisProcess
) -> None:
    def twice_the_id(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(x=frame["id"] * 2.0)

    table = pa.table({"id": [1, 2], "x": [1.0, 2.0], "event_timestamp": times(NOON, NOON)})
    schema = view_of(write_rows(tmp_path, table), [HOUSE], {"x": Float64}).schema
    view = BatchFeatureView(
        name="numbers", mode="pandas", entities=[HOUSE], schema=schema, source=write_rows(tmp_path, table),
        udf=twice_the_id, udf_string="twice_the_id", ttl=timedelta(0), online=True,
    )  # fmt: skip
    store = open_store(tmp_path, redis, [HOUSE, view], ours=True)
    store.materialize(START, END)
    assert store.get_online_features(["numbers:x"], [{"id": 1}, {"id": 2}]).to_dict()["x"] == [
        2.0,
        4.0,
    ]


def test_a_full_redis_ends_materialize_with_what_to_do(
    tmp_path: Path, processes: Processes
) -> None:
    full = processes.start("--maxmemory", "3mb", "--maxmemory-policy", "noeviction")
    table = pa.table(
        {
            "id": np.arange(30_000),
            "x": np.arange(30_000.0),
            "event_timestamp": times(*[NOON] * 30_000),
        }
    )
    store = open_store(
        tmp_path, full, [HOUSE, view_of(write_rows(tmp_path, table), [HOUSE], {"x": Float64})], True
    )
    with pytest.raises(ServiceUnreachable, match="raise its maxmemory"):
        store.materialize(START, END)


def test_a_cluster_is_filled_read_and_pruned(tmp_path: Path, cluster: list[RedisProcess]) -> None:
    table = pa.table(
        {"id": np.arange(500), "x": np.arange(500.0), "event_timestamp": times(*[NOON] * 500)}
    )
    view = view_of(write_rows(tmp_path, table), [HOUSE], {"x": Float64})
    where = f"redis+cluster://127.0.0.1:{cluster[0].port}"
    store = open_store(tmp_path, cluster[0], [HOUSE, view], ours=True, url=where)
    store.materialize(START, END)
    ids = [{"id": number} for number in (0, 7, 499, 500)]
    assert store.get_online_features(["numbers:x"], ids).to_dict()["x"] == [0.0, 7.0, 499.0, None]
    online = store._get_provider().online_store
    kept = sorted_hashes(
        [key_hashes(pa.array([entity_key("shop", ["id"], [7], ["int64"])], pa.binary()))]
    )
    assert prune_view(online._get_client(store.config.online_store), store, view, kept) == 499
    assert store.get_online_features(["numbers:x"], ids).to_dict()["x"] == [None, 7.0, None, None]


# what is already stored


def project(tmp_path: Path, redis: RedisProcess, x: float, moment: datetime, **options: Any) -> Any:
    """A store over one row of one house."""
    table = pa.table({"id": [1], "x": [x], "event_timestamp": times(moment)})
    view: FeatureView = view_of(write_rows(tmp_path, table), [HOUSE], {"x": Float64})
    return open_store(tmp_path, redis, [HOUSE, view], ours=True, **options)


def stored(redis: RedisProcess, store: Any) -> tuple[Any, Any]:
    key = entity_key("shop", ["id"], [1], ["int64"])
    when = decode_timestamp(redis.client.hget(key, "_ts:numbers"))
    return store.get_online_features(["numbers:x"], [{"id": 1}]).to_dict()["x"][0], when


def test_dates_corrected_backwards_reach_the_online_store(
    tmp_path: Path, redis: RedisProcess
) -> None:
    project(tmp_path, redis, 2.0, NOON).materialize(START, END)
    earlier = NOON - timedelta(days=400)
    store = project(tmp_path, redis, 1.0, earlier)
    store.materialize(START, END)
    assert stored(redis, store) == (1.0, earlier.timestamp())


def test_a_corrected_row_of_the_same_time_is_written(tmp_path: Path, redis: RedisProcess) -> None:
    project(tmp_path, redis, 2.0, NOON).materialize(START, END)
    store = project(tmp_path, redis, 3.0, NOON)
    store.materialize(START, END)
    assert stored(redis, store)[0] == 3.0


def test_a_stored_row_from_the_future_is_not_believed(tmp_path: Path, redis: RedisProcess) -> None:
    project(tmp_path, redis, 9.0, datetime(2090, 1, 1, tzinfo=UTC), skip_dedup=True).materialize(
        START, END
    )
    store = project(tmp_path, redis, 3.0, NOON)
    store.materialize(START, END)
    assert stored(redis, store) == (3.0, NOON.timestamp())


def test_a_row_from_the_future_is_skipped_and_told(
    tmp_path: Path, redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    store = project(tmp_path, redis, 9.0, datetime(2090, 1, 1, tzinfo=UTC))
    with caplog.at_level(logging.WARNING, "potluck.stores"):
        store.materialize(START, END)
    assert redis.client.dbsize() == 0
    assert "1 dated in the future; correct the source (id=1)" in caplog.text


def test_without_the_check_the_last_to_write_wins(tmp_path: Path, redis: RedisProcess) -> None:
    project(tmp_path, redis, 2.0, NOON).materialize(START, END)
    store = project(tmp_path, redis, 1.0, NOON - timedelta(days=1), skip_dedup=True)
    store.materialize(START, END)
    assert stored(redis, store)[0] == 1.0


def test_a_key_that_holds_something_else_is_told_and_its_neighbours_are_written(
    tmp_path: Path, redis: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    table = pa.table(
        {"id": [1, 2, 3], "x": [1.0, 2.0, 3.0], "event_timestamp": times(NOON, NOON, NOON)}
    )
    store = open_store(
        tmp_path,
        redis,
        [HOUSE, view_of(write_rows(tmp_path, table), [HOUSE], {"x": Float64})],
        True,
    )
    redis.client.set(entity_key("shop", ["id"], [2], ["int64"]), "no hash")
    with caplog.at_level(logging.WARNING, "potluck.stores"):
        store.materialize(START, END)
    assert store.get_online_features(["numbers:x"], [{"id": i} for i in (1, 2, 3)]).to_dict()[
        "x"
    ] == [1.0, None, 3.0]
    assert "1 refused by Redis: the key holds something else than a hash" in caplog.text
    assert "(id=2)" in caplog.text


def test_pruning_leaves_other_views_and_projects_alone(tmp_path: Path, redis: RedisProcess) -> None:
    table = pa.table(
        {"id": [1, 2, 3], "x": [1.0, 2.0, 3.0], "event_timestamp": times(NOON, NOON, NOON)}
    )
    source = write_rows(tmp_path, table)
    views = [view_of(source, [HOUSE], {"x": Float64}, name) for name in ("numbers", "others")]
    stores = [
        open_store(tmp_path, redis, [HOUSE, *views], ours=True, project=name)
        for name in ("shop", "workshop")
    ]
    for store in stores:
        store.materialize(START, END)
    kept = sorted_hashes(
        [key_hashes(pa.array([entity_key("shop", ["id"], [2], ["int64"])], pa.binary()))]
    )
    told: list[Any] = []
    pruned = prune_view(redis.client, stores[0], views[0], kept, lambda *step: told.append(step))
    assert pruned == 2
    assert told[-1][0] == "prune numbers"
    ids = [{"id": number} for number in (1, 2, 3)]
    assert stores[0].get_online_features(["numbers:x"], ids).to_dict()["x"] == [None, 2.0, None]
    assert stores[0].get_online_features(["others:x"], ids).to_dict()["x"] == [1.0, 2.0, 3.0]
    assert stores[1].get_online_features(["numbers:x"], ids).to_dict()["x"] == [1.0, 2.0, 3.0]
