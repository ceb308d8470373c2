"""Every row of a view's source is accounted for: what came is what was written and what was left
out, by reason."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FileSource, ValueType
from feast.types import Float64
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from online_stores import view_of, write_rows
from redis_servers import Processes, RedisProcess
from shops import DAY, ITEM, NOON, Shop, item_key, records, times

from potluck.contract.accounting import (
    AFTER_AS_OF,
    DUPLICATE,
    NO_DATE,
    NO_KEY,
    OUT_OF_RANGE,
    SUPERSEDED,
    Account,
    LeftOut,
)
from potluck.contract.errors import DataError, UsageError
from potluck.contract.moments import EARLIEST, LATEST
from potluck.stores.feast_plugins.session import NEWER_PUSHED, REFUSED
from potluck.stores.materialize import view_account as module
from potluck.stores.parquet.census import Census, RowCounter
from potluck.stores.parquet.offline_reads import parquet_source
from potluck.stores.parquet.source import ParquetSource


@pytest.fixture(scope="module")
def redis(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture
def shop(tmp_path: Path, redis: RedisProcess) -> Iterator[Shop]:
    yield Shop(tmp_path, redis)
    redis.client.flushall()


def accounted(shop: Shop, as_of: datetime = NOON) -> Account:
    (told,) = shop.materialize(as_of)
    assert told.account is not None
    return told.account


def test_every_row_of_the_source_is_accounted_for(shop: Shop, redis: RedisProcess) -> None:
    ids = [1, 1, 1, None, 2, 3, 4, 5, 6, None]
    moments = [NOON, NOON - DAY, NOON, NOON, None, EARLIEST - DAY, NOON + DAY, NOON, NOON, None]
    shop.define(records(ids, moments))
    redis.client.set(item_key(5), "no hash")
    shop.push([6], NOON + timedelta(hours=1), x=[9.0])
    found = accounted(shop)
    assert (found.table, found.came, found.kept) == ("rec (source rows)", 10, 1)
    assert set(found.left_out) == {
        LeftOut(NO_KEY, 2, ("row 4", "row 10")),
        LeftOut(NO_DATE, 1, ("id=2",)),
        LeftOut(OUT_OF_RANGE, 1, ("id=3",)),
        LeftOut(AFTER_AS_OF, 1, ("id=4",)),
        LeftOut(SUPERSEDED, 1, ("id=1",)),
        LeftOut(DUPLICATE, 1, ("id=1",)),
        LeftOut(NEWER_PUSHED, 1, ("id=6",)),
        LeftOut(REFUSED, 1, ("id=5",)),
    }


def test_many_of_a_kind_are_named_by_the_first_few(shop: Shop) -> None:
    shop.define(records([*range(20), *range(20)], [NOON + DAY] * 40))
    assert accounted(shop).left_out == (
        LeftOut(AFTER_AS_OF, 40, tuple(f"id={number}" for number in range(5))),
    )


moments = st.sampled_from(
    [
        None,
        EARLIEST - DAY,
        EARLIEST,
        datetime(1939, 5, 1, tzinfo=UTC),
        NOON - DAY,
        NOON,
        NOON + DAY,
        LATEST,
    ]
)
rows = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 4)), st.sampled_from("ab"), moments), max_size=30
)


@settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows)
def test_the_counts_of_any_source_add_up_to_what_a_reader_counts(
    tmp_path: Path, given_rows: list[Any]
) -> None:
    """The reader goes row by row, in Python."""
    ids, kinds, dates = ([row[place] for row in given_rows] for place in range(3))
    table = pa.table(
        {"nr": pa.array(ids, pa.int64()), "kind": pa.array(kinds, pa.string()), "t": times(*dates)}
    )
    pq.write_table(table, tmp_path / "any.parquet")
    source = ParquetSource("any", (str(tmp_path / "any.parquet"),), "t")
    found = RowCounter(source, {"id": "nr", "kind": "kind"}).census(NOON)
    assert found.came == len(given_rows)
    counts = Counter({each.reason: each.count for each in found.left_out if each.count})
    assert (found.entities, counts) == by_hand(given_rows)


def by_hand(given_rows: list[Any]) -> tuple[int, Counter[str]]:
    counts: Counter[str] = Counter()
    visible: dict[Any, list[datetime]] = {}
    for number, kind, moment in given_rows:
        if number is None:
            counts[NO_KEY] += 1
        elif moment is None:
            counts[NO_DATE] += 1
        elif not EARLIEST <= moment < LATEST:
            counts[OUT_OF_RANGE] += 1
        elif moment > NOON:
            counts[AFTER_AS_OF] += 1
        else:
            visible.setdefault((number, kind), []).append(moment)
    for found in visible.values():
        newest = found.count(max(found))
        counts[SUPERSEDED] += len(found) - newest
        counts[DUPLICATE] += newest - 1
    return len(visible), +counts


def test_composite_keys_and_rows_of_several_files_are_named(
    tmp_path: Path, redis: RedisProcess, shop: Shop
) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for name, ids in (("a", [1, None]), ("b", [None, 2])):
        table = pa.table(
            {
                "nr": ids,
                "kind": ["k", "k"],
                "x": [1.0, 2.0],
                "event_timestamp": times(NOON, NOON + DAY),
            }
        )
        pq.write_table(table, folder / f"{name}.parquet", coerce_timestamps="us")
    source = FileSource(
        name="parts",
        path=str(folder),
        timestamp_field="event_timestamp",
        field_mapping={"nr": "id"},
    )
    found = parquet_source(source)
    assert found is not None
    census = RowCounter(found, {"id": "nr", "kind": "kind"}).census(NOON)
    assert census.left_out[:2] == (
        LeftOut(NO_KEY, 2, ("a.parquet row 2", "b.parquet row 1")),
        LeftOut(AFTER_AS_OF, 1, ("id=2, kind=k",)),
    )
    kind = Entity(name="kind", join_keys=["kind"], value_type=ValueType.STRING)
    shop.define(records([1]))
    shop.applied.apply([kind, source, view_of(source, [ITEM, kind], {"x": Float64}, "pairs")])
    told = {each.view: each for each in shop.materialize()}
    assert told["pairs"].account is not None
    assert (told["pairs"].account.came, told["pairs"].account.kept) == (4, 1)


def test_a_source_that_is_replaced_meanwhile_is_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.define(records([1, 2]))
    counted = RowCounter.census

    def replaced_before(counter: RowCounter, *arguments: Any) -> Census:
        write_rows(shop.folder, records([1, 2, 3]))
        return counted(counter, *arguments)

    monkeypatch.setattr(module.RowCounter, "census", replaced_before)
    with pytest.raises(
        DataError, match=r"source rows of view rec changed while it was read: expected 3 .* got 2"
    ):
        shop.materialize()


def test_feasts_own_engine_is_accounted_for_by_what_came_through(shop: Shop) -> None:
    shop.define(records([1, 2, 2], [NOON, NOON, NOON + DAY]), opened={"engine": "local"})
    assert accounted(shop) == Account("rec (source rows)", 2, 2)


def test_a_date_before_all_dates_is_a_usage_error(shop: Shop) -> None:
    shop.define(records([1]))
    with pytest.raises(
        UsageError, match="expected an as-of date from 1678-01-01 on, got 1500-01-01"
    ):
        shop.materialize(datetime(1500, 1, 1, tzinfo=NOON.tzinfo))
