"""What an earlier materialize wrote is not newer knowledge; what was pushed since is."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from online_stores import END, START
from redis_servers import Processes, RedisProcess
from shops import DAY, NOON, Shop, item_key, records

from potluck.contract.redis_format import encode_timestamp
from potluck.stores.materialize.run import Materialized


@pytest.fixture(scope="module")
def redis(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture
def shop(tmp_path: Path, redis: RedisProcess) -> Iterator[Shop]:
    yield Shop(tmp_path, redis)
    redis.client.flushall()


def counts(told: list[Materialized]) -> dict[str, int]:
    (view,) = told
    return {
        "entities": view.entities,
        "written": view.written,
        "older": view.skipped_older,
        "pruned": view.pruned,
    }


def test_dates_corrected_backwards_reach_the_online_store(shop: Shop) -> None:
    shop.define(records([1, 2])).materialize()
    shop.define(records([1, 2], [NOON - 400 * DAY] * 2, x=[7.0, 8.0]))
    assert counts(shop.materialize()) == {"entities": 2, "written": 2, "older": 0, "pruned": 0}
    assert shop.read(1, 2) == [7.0, 8.0]


def test_a_pushed_value_that_is_newer_than_the_data_stays(shop: Shop) -> None:
    shop.define(records([1, 2])).materialize()
    shop.push([1], NOON + DAY, x=[9.0])
    told = shop.materialize(NOON + 2 * DAY)
    assert counts(told) == {"entities": 2, "written": 1, "older": 1, "pruned": 0}
    assert told[0].examples["older"] == ["id=1"]
    assert shop.read(1, 2) == [9.0, 1.0]


def test_a_pushed_value_that_is_older_than_the_data_is_replaced(shop: Shop) -> None:
    shop.define(records([1], [NOON - DAY]))
    shop.push([1], NOON - DAY / 2, x=[9.0])
    shop.define(records([1], [NOON], x=[2.0])).materialize()
    assert shop.read(1) == [2.0]
    assert b"_pushed:rec" not in shop.stored(1)


def test_a_row_of_the_data_with_the_pushed_ones_timestamp_replaces_it_and_its_mark(
    shop: Shop,
) -> None:
    shop.define(records([1]))
    shop.push([1], NOON, x=[9.0])
    assert shop.stored(1)[b"_pushed:rec"] == shop.stored(1)[b"_ts:rec"] == encode_timestamp(NOON)
    shop.materialize()
    assert shop.read(1) == [0.0]
    assert b"_pushed:rec" not in shop.stored(1)


def test_the_mark_of_a_push_that_was_replaced_comes_to_life_with_no_later_date(shop: Shop) -> None:
    """Data newer than the push, then corrected back to the push's own time: no push stands there
    any more."""
    shop.define(records([1], [NOON - DAY]))
    shop.push([1], NOON - DAY, x=[9.0])
    shop.define(records([1], [NOON], x=[2.0])).materialize()
    shop.define(records([1], [NOON - DAY], x=[3.0])).materialize()
    shop.define(records([1], [NOON - 2 * DAY], x=[4.0])).materialize()
    assert shop.read(1) == [4.0]


def test_a_pushed_entity_that_was_never_in_the_data_survives_materialize(shop: Shop) -> None:
    shop.define(records([1, 2])).materialize()
    shop.push([3], NOON, x=[9.0])
    shop.define(records([1]))
    assert counts(shop.materialize()) == {"entities": 1, "written": 1, "older": 0, "pruned": 1}
    assert shop.read(1, 2, 3) == [0.0, None, 9.0]


def test_an_earlier_as_of_does_not_reset_a_pushed_value(shop: Shop) -> None:
    shop.define(records([1, 2], [NOON - 9 * DAY, NOON])).materialize()
    shop.push([1, 2], NOON + DAY, x=[8.0, 9.0])
    told = shop.materialize(NOON - DAY)
    assert counts(told) == {"entities": 1, "written": 0, "older": 1, "pruned": 0}
    assert shop.read(1, 2) == [8.0, 9.0]


def test_an_earlier_as_of_resets_what_a_later_one_materialized(shop: Shop) -> None:
    shop.define(records([1, 1, 2], [NOON - 9 * DAY, NOON, NOON])).materialize()
    assert shop.read(1, 2) == [1.0, 2.0]
    shop.materialize(NOON - DAY)
    assert shop.read(1, 2) == [0.0, None]


def test_a_push_dated_in_the_future_by_mistake_does_not_block_the_data(shop: Shop) -> None:
    late = datetime.now(UTC) + timedelta(days=9)
    shop.define(records([1]), opened={"skip_dedup": True})
    shop.push([1], late, x=[9.0])
    shop.define(records([1])).materialize(late + DAY)
    assert shop.read(1) == [0.0]


def test_an_older_push_stays_out_whoever_wrote_the_newer_row_and_is_told(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.define(records([1])).materialize()
    with caplog.at_level(logging.WARNING, "potluck.stores"):
        shop.push([1], NOON - DAY, x=[9.0])
    assert shop.read(1) == [0.0]
    assert (
        "rows from a push, left out: 1 skipped: the online store holds a newer row (id=1)"
        in caplog.text
    )


@pytest.mark.parametrize(
    ("engine", "name"),
    [("potluck.stores.engine.PotluckEngine", "PotluckEngine"), ("local", "LocalComputeEngine")],
)
def test_plain_feast_materialize_tells_data_from_pushes_with_either_engine(
    shop: Shop, engine: str, name: str
) -> None:
    """Feast's own engine writes through the call that pushes take as well."""
    shop.define(records([1, 2, 3]), opened={"engine": engine})
    assert type(shop.applied._get_provider().batch_engine).__name__ == name  # type: ignore[attr-defined]
    shop.applied.materialize(START, END)
    assert not any(b"_pushed:rec" in shop.stored(number) for number in (1, 2, 3))
    shop.push([2], NOON + DAY, x=[9.0])
    shop.define(records([1, 2, 3], [NOON - DAY] * 3, x=[5.0, 6.0, 7.0]), opened={"engine": engine})
    shop.applied.materialize(START, END)
    assert shop.read(1, 2, 3) == [5.0, 9.0, 7.0]


def test_a_pushed_row_without_a_key_or_a_date_leaves_its_neighbours_and_is_told(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    frame = records([1, None, 3], [NOON, NOON, None]).to_pandas().astype({"id": "Int64"})
    shop.define(records([1]))
    with caplog.at_level(logging.WARNING, "potluck.stores"):
        shop.applied.push("pushed", frame)
    assert shop.read(1, 3) == [0.0, None]
    assert "view rec, rows from a push, left out: 1 no key" in caplog.text
    assert "view rec, rows from a push, left out: 1 no date (id=3)" in caplog.text


def test_deleting_a_view_deletes_the_marks(shop: Shop, redis: RedisProcess) -> None:
    shop.define(records([1]))
    shop.push([1], NOON, x=[9.0])
    online = shop.applied._get_provider().online_store
    online.delete_table(shop.applied.config, shop.applied.get_feature_view("rec"))
    assert not redis.client.exists(item_key(1))


def test_without_the_check_nothing_is_looked_at(shop: Shop) -> None:
    shop.define(records([1]), opened={"skip_dedup": True})
    shop.push([1], NOON + DAY, x=[9.0])
    shop.materialize(NOON + 2 * DAY)
    assert shop.read(1) == [0.0]
