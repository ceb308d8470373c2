"""Dates before 1970, and 1970's first moment, are dates like others: in Redis, in Feast's reads, in
the join."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.types import Float64
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from online_stores import open_store, view_of, write_rows
from redis_servers import Processes, RedisProcess
from shops import DAY, ITEM, NOON, Shop, item_key, records

from potluck.contract.moments import EARLIEST, LATEST
from potluck.contract.redis_format import decode_timestamp, varint
from potluck.redis.feast_times import decode_timestamps, encode_timestamps
from serving.services.entities import EntityReader, Known

OLD = [
    datetime(1678, 1, 1, tzinfo=UTC),
    datetime(1939, 5, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC),
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
]
IDS = list(range(len(OLD)))


@pytest.fixture(scope="module")
def redis(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture
def shop(tmp_path: Path, redis: RedisProcess) -> Iterator[Shop]:
    yield Shop(tmp_path, redis)
    redis.client.flushall()


def statuses(shop: Shop, *ids: int) -> tuple[list[Any], list[Any], list[datetime]]:
    response = shop.applied.get_online_features(["rec:x"], [{"id": number} for number in ids])
    (result,) = response.proto.results[1:]
    moments = [stamp.ToDatetime(UTC) for stamp in result.event_timestamps]
    return list(response.to_dict()["x"]), list(result.statuses), moments


@pytest.mark.parametrize("by_feast", [False, True])
def test_rows_dated_before_1970_reach_redis_and_feasts_reads(shop: Shop, by_feast: bool) -> None:
    shop.define(records(IDS, OLD))
    if by_feast:
        shop.applied.materialize(EARLIEST, NOON)
    else:
        assert shop.materialize()[0].account is not None
    assert statuses(shop, *IDS, 99) == (
        [float(number) for number in IDS] + [None],
        [FieldStatus.PRESENT] * len(IDS) + [FieldStatus.NOT_FOUND],
        [*OLD, datetime(1970, 1, 1, tzinfo=UTC)],
    )


def test_the_server_knows_entities_dated_before_1970_and_in_its_first_moment(
    shop: Shop, redis: RedisProcess
) -> None:
    shop.define(records(IDS, OLD)).materialize()
    reader = EntityReader(shop.contract())
    for number in (*IDS, 99):
        ((command, key),) = reader.calls({"id": number})
        reply = redis.client.execute_command(*command.words(key))
        known = reader.known({"id": number}, [reply], NOON.timestamp())
        assert isinstance(known, Known) == (number != 99)


def test_of_old_rows_too_the_newer_one_wins(shop: Shop) -> None:
    shop.define(records([1, 2]))
    shop.push([1, 2], OLD[3], x=[1.0, 2.0])
    shop.push([1, 2], OLD[2], x=[3.0, 4.0])
    assert shop.read(1, 2) == [1.0, 2.0]
    shop.define(records([1, 2], [OLD[2], OLD[4]], x=[5.0, 6.0])).materialize()
    assert shop.read(1, 2) == [1.0, 6.0]


def test_a_push_of_the_first_moment_of_1970_is_a_push(shop: Shop) -> None:
    """Its timestamp has no bytes at all, and so has its mark."""
    shop.define(records([1]))
    shop.push([2], OLD[3], x=[2.0])
    shop.materialize()
    assert shop.read(1, 2) == [0.0, 2.0]


def test_a_ttl_counts_from_before_1970(shop: Shop) -> None:
    age = timedelta(seconds=round((datetime.now(UTC) - OLD[1]).total_seconds()))
    shop.define(records([1, 2], [OLD[1], OLD[1] - 10 * DAY]), ttl=age + DAY).materialize()
    assert statuses(shop, 1, 2)[:2] == (
        [0.0, None],
        [FieldStatus.PRESENT, FieldStatus.OUTSIDE_MAX_AGE],
    )


def dated(kind: str, moments: list[datetime]) -> Any:
    if kind == "objects":
        return pd.Series(moments, dtype=object)
    naive = [moment.replace(tzinfo=None) for moment in moments]
    return pd.Series(np.array(naive, f"datetime64[{kind}]")).dt.tz_localize("UTC")


@pytest.mark.parametrize("kind", ["us", "ns", "objects"])
@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(days=20)])
def test_rows_dated_before_1970_join_point_in_time(shop: Shop, kind: str, ttl: timedelta) -> None:
    shop.define(records([1] * len(OLD), OLD), ttl=ttl)
    due = [OLD[1] - DAY, OLD[1], OLD[1] + 10 * DAY, OLD[2], OLD[3], OLD[4] + 30 * DAY]
    frame = pd.DataFrame({"id": [1] * len(due), "event_timestamp": dated(kind, due)})
    found = shop.applied.get_historical_features(frame, ["rec:x"]).to_arrow()
    expected = [None if ttl else 0.0, 1.0, 1.0, 2.0, 3.0, None if ttl else 4.0]
    assert found["x"].to_pylist() == expected


def test_rows_without_a_date_or_beyond_all_dates_are_left_out_and_told(shop: Shop) -> None:
    moments = [None, EARLIEST - DAY / 2, EARLIEST, LATEST - DAY, LATEST]
    shop.define(records(range(5), moments))
    (told,) = shop.materialize(datetime(9999, 1, 1, tzinfo=UTC))
    assert told.account is not None
    assert told.account.text() == (
        "rec (source rows): 5 rows came, 2 kept, 3 left out: "
        "2 dated before 1678 or after 2261 (id=1, id=4); 1 no date (id=0)"
    )
    assert shop.read(*range(5)) == [None, None, 2.0, 3.0, None]


def test_a_push_without_a_date_leaves_its_neighbours(shop: Shop, redis: RedisProcess) -> None:
    store = shop.define(records([1])).applied
    provider, view = store._get_provider(), store.get_feature_view("rec")
    frame = records([1, 2], x=[1.0, 2.0]).to_pandas()
    rows = provider._prep_rows_to_write_for_ingestion(view, frame, {})
    key, values, _, created = rows[0]
    provider.online_store.online_write_batch(
        store.config, view, [(key, values, pd.NaT, created), rows[1]], None
    )
    assert (redis.client.exists(item_key(1)), shop.read(2)) == (0, [2.0])


repeatable = settings(derandomize=True, deadline=None, max_examples=200, database=None)


@repeatable
@given(
    st.lists(
        st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None)),
        min_size=1,
        max_size=9,
    )
)
@example([moment.replace(tzinfo=None) for moment in OLD])
def test_old_timestamps_are_protobufs_to_the_byte_and_come_back(moments: list[datetime]) -> None:
    theirs = []
    for moment in moments:
        stamp = Timestamp()
        stamp.FromDatetime(moment)
        theirs.append(stamp.SerializeToString())
    column = pa.array(moments, pa.timestamp("us"))
    ours = encode_timestamps(column)
    assert ours.to_pylist() == theirs
    micros, sound = decode_timestamps(ours)
    assert sound.all()
    assert micros.tolist() == column.cast(pa.int64()).to_pylist()
    for moment, stored in zip(moments, theirs, strict=True):
        assert decode_timestamp(stored) == pytest.approx(
            moment.replace(tzinfo=UTC).timestamp(), abs=1e-6, rel=0
        )


@pytest.mark.parametrize("seconds", [-(2**63), 2**63 - 1, -62_135_596_801, 253_402_300_800])
def test_seconds_that_no_calendar_has_are_damage(seconds: int) -> None:
    stored = b"\x08" + varint(seconds)
    _, sound = decode_timestamps(pa.array([stored], pa.binary()))
    assert not sound.any()


def test_a_source_of_whole_folders_and_days_reaches_redis(
    tmp_path: Path, redis: RedisProcess
) -> None:
    """A column of dates without a time, as archives have them."""
    table = pa.table(
        {
            "id": [1, 2],
            "x": [1.0, 2.0],
            "event_timestamp": pa.array([datetime(1939, 5, 1), datetime(1938, 6, 1)], pa.date32()),
        }
    )
    view = view_of(write_rows(tmp_path, table, "archive"), [ITEM], {"x": Float64}, "rec")
    store = open_store(tmp_path, redis, [ITEM, view], ours=True, project="archive")
    store.materialize(EARLIEST, NOON)
    assert store.get_online_features(["rec:x"], [{"id": 1}, {"id": 2}]).to_dict()["x"] == [1.0, 2.0]
