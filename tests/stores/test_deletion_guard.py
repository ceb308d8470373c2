"""How many entities would leave, by view: those that share a key, and those that only Feast can
make."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_servers import Processes, RedisProcess
from shops import DAY, NOON, Shop, item_key, records

from potluck.contract.errors import Refused
from potluck.stores.materialize.deletion_guard import DeletionGuard


@pytest.fixture(scope="module")
def redis(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture
def shop(tmp_path: Path, redis: RedisProcess) -> Iterator[Shop]:
    """Ten entities in the data and online."""
    found = Shop(tmp_path, redis).define(records(range(10)))
    found.materialize()
    yield found
    redis.client.flushall()


def test_an_empty_store_loses_nothing(shop: Shop, redis: RedisProcess) -> None:
    redis.client.flushall()
    shop.define(records([1]))
    assert shop.materialize()[0].written == 1


def test_another_projects_entities_are_not_counted(shop: Shop, redis: RedisProcess) -> None:
    for number in range(100, 200):
        redis.client.hset(item_key(number)[:-4] + b"workshop", mapping={b"_ts:rec": b"\x08\x01"})
    shop.define(records(range(6)))
    assert shop.materialize()[0].pruned == 4


def test_entities_that_only_another_view_has_are_not_counted(
    shop: Shop, redis: RedisProcess
) -> None:
    for number in range(100, 200):
        redis.client.hset(item_key(number), mapping={b"_ts:other": b"\x08\x01"})
    shop.define(records(range(6)))
    assert shop.materialize()[0].pruned == 4


def test_pushed_entities_stay_and_are_not_counted(shop: Shop) -> None:
    shop.push(range(100, 200), NOON, x=[1.0] * 100)
    shop.define(records(range(6)))
    assert shop.materialize()[0].pruned == 4
    assert shop.read(150) == [1.0]


def test_rows_without_a_key_are_no_entities(shop: Shop) -> None:
    shop.define(records([None, *range(4), *[None] * 6]))
    with pytest.raises(Refused, match="6 of 10 entities"):
        shop.materialize()


def test_records_after_the_as_of_date_do_not_count(shop: Shop) -> None:
    shop.define(records(range(10), [NOON + DAY] * 10))
    with pytest.raises(Refused, match="10 of 10 entities"):
        shop.materialize()
    assert shop.materialize(NOON + DAY)[0].written == 10


def test_what_only_feast_can_make_is_written_but_nothing_is_deleted(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view with a transformation: its entities are known when they are written."""
    monkeypatch.setattr(DeletionGuard, "can_foretell", lambda *_: False)
    shop.define(records(range(4), x=[7.0] * 4))
    with pytest.raises(Refused, match="all views were written, and nothing was deleted"):
        shop.materialize()
    assert shop.read(1, 9) == [7.0, 9.0]
    assert shop.materialize(force="they are gone")[0].pruned == 6
    assert shop.read(1, 9) == [7.0, None]
