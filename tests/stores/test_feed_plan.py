"""Materialize goes on feeding what a champion reads; where it can't, it refuses, or takes the stale
values out."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from feast import Entity, FeatureService, ValueType
from feast.types import Float64, Int64, String
from online_stores import view_of, write_rows
from redis_servers import Processes, RedisProcess
from shops import DAY, ITEM, NOON, SERVICE, Shop, item_key, records

from potluck.contract.champion import Champion
from potluck.contract.errors import Refused
from potluck.contract.features import FeatureContract
from potluck.contract.feed import Feed, feed_key, read_feed
from potluck.contract.redis_format import decode_value
from potluck.stores.materialize.feed_plan import Unfed
from potluck.stores.materialize.run import Materialized
from potluck.stores.parquet.connection import connected
from potluck.stores.parquet.population import Shard, view_part

BOTH = {"x": Float64, "c": Float64}
FORCE = "c is worth nothing"


@pytest.fixture(scope="module")
def redis(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture
def shop(tmp_path: Path, redis: RedisProcess) -> Iterator[Shop]:
    """A shop whose champion looks up x and c."""
    yield Shop(tmp_path, redis).define(records([1, 2], x=[1.0, 2.0], c=[0.1, 0.2]), BOTH)
    redis.client.flushall()


def champion(contract: FeatureContract, version: str = "3") -> Champion:
    return Champion(version, contract)


def online(shop: Shop, contract: FeatureContract, number: int) -> dict[str, Any]:
    """What the champion's server reads of an entity."""
    (view,) = contract.views
    stored = shop.stored(number)
    fields = zip(view.features, map(bytes.fromhex, view.field_ids), strict=True)
    return {feature: decode_value(stored.get(field)) for feature, field in fields}


def by_night(shop: Shop, contract: FeatureContract, number: int) -> dict[str, Any]:
    """What its nightly run reads of the same one."""
    part = view_part(shop.applied, champion(contract), contract.views[0], NOON)
    with connected() as connection:
        (row,) = part.read(connection, Shard(0, 1, number, number)).to_pylist()
    return {field.name: row[f"c{place}"] for place, (field, _) in enumerate(part.columns)}


def feed(shop: Shop) -> Feed:
    found = read_feed(shop.redis.client.get(feed_key("shop")))  # type: ignore[arg-type]
    assert found is not None
    return found


def fed(shop: Shop) -> tuple[datetime, dict[str, tuple[str, ...]]]:
    """As of when, and what, but for the moments of writing."""
    found = feed(shop)
    assert found.written_at.keys() == found.views.keys()
    return found.as_of, found.views


def unfed(told: list[Materialized]) -> list[Unfed]:
    return [each for view in told for each in view.unfed]


def test_what_was_written_is_left_for_the_server(shop: Shop) -> None:
    contract = shop.contract()
    shop.materialize()
    assert fed(shop) == (NOON, {"rec": ("x", "c")})
    assert feed(shop).lacks(contract) == []


def test_a_feature_taken_out_of_its_view_is_fed_for_as_long_as_a_champion_reads_it(
    shop: Shop,
) -> None:
    contract = shop.contract()
    shop.materialize()
    shop.define(records([1, 2], x=[1.5, 2.5], c=[0.3, 0.4]), {"x": Float64})
    told = shop.materialize(champions=[champion(contract)])
    assert unfed(told) == []
    assert online(shop, contract, 1) == by_night(shop, contract, 1) == {"x": 1.5, "c": 0.3}
    assert fed(shop) == (NOON, {"rec": ("x", "c")})
    assert [field.name for field in shop.applied.get_feature_view("rec").features] == ["x"]


def test_a_feature_that_nobody_reads_any_more_is_not_fed(shop: Shop) -> None:
    contract = shop.contract()
    shop.define(records([1, 2], x=[1.5, 2.5], c=[0.3, 0.4]), {"x": Float64})
    shop.materialize(champions=[champion(shop.contract())])
    assert online(shop, contract, 1) == {"x": 1.5, "c": None}
    assert feed(shop).lacks(contract) == ["rec:c"]


def test_a_feature_that_left_the_source_too_is_refused_before_anything_is_written(
    shop: Shop,
) -> None:
    contract = shop.contract()
    shop.materialize()
    before = shop.stored(1)
    shop.define(records([1, 2], x=[1.5, 2.5]))
    with pytest.raises(
        Refused,
        match=r"no longer fed: rec:c, which champion t_hybrid version 3 reads: source rows ",
    ):
        shop.materialize(champions=[champion(contract)])
    assert shop.stored(1) == before


def test_with_force_an_unfed_feature_is_taken_out_and_told(shop: Shop) -> None:
    contract = shop.contract()
    shop.materialize()
    shop.push([9], NOON + DAY, x=[9.0], c=[0.9])
    shop.define(records([1], x=[1.5]))
    told = shop.materialize(champions=[champion(contract)], force=FORCE)
    assert unfed(told) == [Unfed("rec", "c", SERVICE, "3", "source rows has no column c")]
    assert online(shop, contract, 1) == {"x": 1.5, "c": None}
    assert online(shop, contract, 9) == {"x": 9.0, "c": None}, "a pushed row looks fresh as well"
    assert not shop.redis.client.exists(item_key(2))
    assert feed(shop).lacks(contract) == ["rec:c"]


def test_a_feature_renamed_by_a_field_mapping_is_fed_under_its_old_name(shop: Shop) -> None:
    contract = shop.contract()
    rows = records([1, 2], x=[1.5, 2.5], c=[0.3, 0.4])
    shop.define(rows, {"x": Float64, "d": Float64}, field_mapping={"c": "d"})
    assert unfed(shop.materialize(champions=[champion(contract)])) == []
    assert online(shop, contract, 2) == by_night(shop, contract, 2) == {"x": 2.5, "c": 0.4}
    assert shop.read(1, 2, feature="d") == [0.3, 0.4]
    assert feed(shop).views == {"rec": ("x", "d", "c")}


def test_a_column_renamed_under_a_feature_is_found_through_the_field_mapping(shop: Shop) -> None:
    contract = shop.contract()
    shop.define(
        records([1, 2], x=[1.5, 2.5], new=[0.3, 0.4]), {"x": Float64}, field_mapping={"new": "c"}
    )
    assert unfed(shop.materialize(champions=[champion(contract)])) == []
    assert online(shop, contract, 2) == by_night(shop, contract, 2) == {"x": 2.5, "c": 0.4}


def test_a_feature_renamed_in_the_source_is_refused(shop: Shop) -> None:
    contract = shop.contract()
    shop.define(records([1, 2], x=[1.5, 2.5], d=[0.3, 0.4]), {"x": Float64, "d": Float64})
    with pytest.raises(Refused, match="rec:c"):
        shop.materialize(champions=[champion(contract)])


def test_a_feature_declared_as_another_type_stays_as_the_champion_reads_it(shop: Shop) -> None:
    contract = shop.contract()
    shop.define(records([1, 2], x=[1.0, 2.0], c=[3, 4]), {"x": Float64, "c": Int64})
    assert unfed(shop.materialize(champions=[champion(contract)])) == []
    found = online(shop, contract, 1)
    assert found == by_night(shop, contract, 1) == {"x": 1.0, "c": 3.0}
    assert isinstance(found["c"], float)
    shop.materialize(champions=[champion(shop.contract(), "4")])
    assert isinstance(online(shop, contract, 1)["c"], int), "the new champion gets the new type"


@pytest.mark.parametrize(
    ("values", "declared", "why"),
    [
        (["a", "b"], String, "column c of source rows is VARCHAR now, and it reads float64"),
        ([0.5, 1.0], Float64, "column c of source rows holds fractions now, and it reads int64"),
    ],
)
def test_a_column_whose_values_the_champion_can_not_read_is_refused_or_taken_out(
    shop: Shop, values: list[Any], declared: Any, why: str
) -> None:
    was = Float64 if declared is String else Int64
    contract = shop.define(
        records([1, 2], x=[1.0, 2.0], c=[3, 4]), {"x": Float64, "c": was}
    ).contract()
    shop.materialize()
    shop.define(records([1, 2], x=[1.0, 2.0], c=values), {"x": Float64, "c": declared})
    with pytest.raises(Refused, match=why):
        shop.materialize(champions=[champion(contract)])
    told = shop.materialize(champions=[champion(contract)], force=FORCE)
    assert [each.why for each in unfed(told)] == [why]
    assert online(shop, contract, 1) == {"x": 1.0, "c": None}
    shop.materialize(champions=[champion(shop.contract(), "4")])
    assert online(shop, contract, 1)["c"] == values[0], (
        "once the new one is champion, it gets its own"
    )


def test_of_two_champions_with_two_types_the_one_of_the_declared_type_is_fed(shop: Shop) -> None:
    old = shop.contract()
    new = replace(
        shop.define(records([1], x=[1.0], c=[3]), {"x": Float64, "c": Int64}).contract(),
        service="other",
    )
    both = [champion(old), champion(new, "1")]
    with pytest.raises(
        Refused, match="t_hybrid version 3 reads: it is stored as int64, and read as float64"
    ):
        shop.materialize(champions=both)


def test_a_view_that_left_the_registry_is_refused_or_told(shop: Shop) -> None:
    contract = shop.contract()
    shop.materialize()
    other = view_of(write_rows(shop.folder, records([1]), "more"), [ITEM], {"x": Float64}, "more")
    service = FeatureService(
        name=SERVICE, features=[other], tags={"label": "sales.y", "objective": "regression"}
    )
    store = shop.applied
    store.apply([other, service], objects_to_delete=[store.get_feature_view("rec")], partial=False)
    with pytest.raises(Refused, match=r"rec:x.*the registry has no such online view.*\n.*rec:c"):
        shop.materialize(champions=[champion(contract)])
    told = shop.materialize(champions=[champion(contract)], force=FORCE)
    assert [(view.view, view.written) for view in told] == [("more", 1), ("rec", 0)]
    assert [each.feature for each in unfed(told)] == ["x", "c"]
    assert online(shop, contract, 1) == {"x": None, "c": None}
    assert feed(shop).lacks(contract) == ["rec:x", "rec:c"]


def test_a_view_that_is_keyed_otherwise_is_refused(shop: Shop) -> None:
    contract = shop.contract()
    text = Entity(name="item", join_keys=["id"], value_type=ValueType.STRING)
    view = view_of(shop.applied.get_feature_view("rec").stream_source, [text], BOTH, "rec")
    shop.applied.apply([text, view])
    with pytest.raises(
        Refused, match=r"join keys are {'id': 'string'}, and it reads {'id': 'int64'}"
    ):
        shop.materialize(champions=[champion(contract)])


def test_feasts_own_engine_can_not_feed_more_than_a_view_declares_and_says_so(shop: Shop) -> None:
    contract = shop.contract()
    shop.define(records([1], x=[1.5], c=[0.3]), {"x": Float64}, opened={"engine": "local"})
    with pytest.raises(Refused, match="only local parquet and Potluck's batch_engine go further"):
        shop.materialize(champions=[champion(contract)])
