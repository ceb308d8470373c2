"""What must hold before a run is published, what should, and what staging leaves behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import redis
from feast.infra.online_stores.helpers import _mmh3
from redis_servers import Processes, RedisProcess

from batch.lease import Lease
from batch.preflight import check_memory
from batch.profile import profile_of
from batch.prune import prune_slot
from batch.publish import predicted_rows, stage
from batch.verify import (
    RunOutcome,
    must_hold,
    predictions_in,
    refuse_failed_checks,
    should_hold,
    verify_staged,
)
from batch.view import View, new_pointer
from potluck.contract.accounting import LeftOut
from potluck.contract.errors import Locked, MissingStepError, Refused, ServiceUnreachable
from potluck.contract.fields import Field
from potluck.contract.publication import SLOTS, Pointer, Publication, slot_fields, slot_view
from potluck.contract.redis_format import (
    decode_timestamp,
    decode_value,
    encode_value,
    entity_key,
    timestamp_field,
)
from potluck.contract.settings import Settings, load_settings
from potluck.redis.embedded import client

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
PROJECT, VIEW = "shop", "prices"
FEATURES = tuple(
    Field(name, dtype, "online")  # type: ignore[arg-type]
    for name, dtype in [
        ("prediction", "float64"),
        ("probabilities", "string"),
        ("model_version", "string"),
        ("run_id", "string"),
    ]
)
PUBLICATION = Publication(
    service="price_batch",
    view=VIEW,
    key=Field("shop_id", "string", "key", required=True),
    features=FEATURES,
    field_ids={
        slot: tuple(_mmh3(f"{slot_view(VIEW, slot)}:{field.name}").hex() for field in FEATURES)
        for slot in SLOTS
    },
    source="history",
)


SETTINGS = Settings.model_construct(
    nightly_max_failed=0.01,
    nightly_max_rows_change=0.5,
    nightly_max_outside=0.05,
    nightly_max_drift=0.25,
)
RANDOM = np.random.default_rng(3)


def outcome(rows: int = 1000, **changes: Any) -> RunOutcome:
    values = RANDOM.normal(100, 10, rows)
    return replace(RunOutcome(rows, (), lost(0), values), **changes)


def lost(count: int, reason: str = "could not be stored") -> LeftOut:
    return LeftOut(reason, count, ("shop_id=S0",))


def broken(checks: Any) -> list[str]:
    return [check.name for check in checks if not check.holds]


def test_one_finite_prediction_for_each_entity_passes() -> None:
    assert broken(must_hold(outcome())) == []
    assert broken(must_hold(outcome(2, values={"low": 1, "high": 1}))) == []
    assert broken(must_hold(outcome(1000, failures=(lost(10),), values=np.zeros(990)))) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_prediction_that_is_not_finite_never_passes(value: float) -> None:
    found = must_hold(outcome(3, values=np.array([1.0, value, 2.0])))
    assert broken(found) == ["finite"]
    with pytest.raises(Refused, match="1 predictions are not finite"):
        refuse_failed_checks(found)


@pytest.mark.parametrize("population", [999, 1001])
def test_an_entity_too_few_or_too_many_never_passes(population: int) -> None:
    found = must_hold(outcome(1000, population=population))
    with pytest.raises(
        Refused, match=f"expected one prediction for each of {population} entities, got 1000"
    ):
        refuse_failed_checks(found)


@pytest.mark.parametrize(
    ("failures", "rejected", "holds"), [(10, 0, True), (5, 5, True), (11, 0, False), (6, 5, False)]
)
def test_up_to_one_in_a_hundred_may_go_without(failures: int, rejected: int, holds: bool) -> None:
    found = outcome(1000, failures=(lost(failures, "no weight"),), rejected=lost(rejected))
    checks = should_hold(found, None, SETTINGS)
    assert broken(checks) == ([] if holds else ["failed share"])
    if not holds:
        with pytest.raises(
            Refused,
            match=r"11 of 1000 entities.*no weight \(shop_id=S0.*"
            r"expected at most 0.01; .* stays, so force",
        ):
            refuse_failed_checks(checks, ", so force")


def test_a_run_like_the_last_one_passes() -> None:
    assert (
        broken(should_hold(outcome(), profile_of("last", RANDOM.normal(100, 10, 1200)), SETTINGS))
        == []
    )


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (RANDOM.normal(100, 10, 400), ["change of rows"]),
        (RANDOM.normal(100, 10, 2000), ["change of rows"]),
        (RANDOM.normal(300, 10, 1000), ["share out of range", "stability index"]),
        (RANDOM.normal(104, 2, 1000), ["stability index"]),
    ],
)
def test_a_run_unlike_the_last_one_is_refused(values: Any, names: list[str]) -> None:
    last = profile_of("last", RANDOM.normal(100, 10, 1000))
    found = should_hold(outcome(len(values), values=values), last, SETTINGS)
    assert broken(found) == names
    with pytest.raises(Refused, match="expected at most"):
        refuse_failed_checks(found)


def test_other_shares_of_classes_are_refused() -> None:
    last = profile_of("last", {"low": 900, "high": 100})
    assert (
        broken(should_hold(outcome(1000, values={"low": 880, "high": 120}), last, SETTINGS)) == []
    )
    found = should_hold(outcome(1000, values={"low": 300, "high": 700}), last, SETTINGS)
    assert broken(found) == ["stability index"]


@pytest.fixture(scope="module")
def server(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture
def store(server: RedisProcess) -> redis.Redis:
    """An empty one for each test."""
    server.client.flushall()
    return server.client


@pytest.fixture
def view(store: redis.Redis) -> View:
    return View(store, PROJECT, PUBLICATION)


@contextmanager
def leased(view: View) -> Iterator[Lease]:
    with Lease(view.client, view.project, view.publication.view) as lease:
        yield lease


def scored(rows: int = 40, values: Any = None, entities: Any = None) -> pa.Table:
    values = [100.0 + row / 3 for row in range(rows)] if values is None else values
    return pa.table(
        {
            "shop_id": pa.array(entities or [f"S{row}" for row in range(rows)], pa.string()),
            "prediction": pa.array(values),
            "probabilities": pa.nulls(rows, pa.string()),
            "failure": pa.nulls(rows, pa.string()),
        }
    )


def staged(view: View, table: pa.Table, run_id: str = "run") -> Pointer:
    with leased(view) as lease:
        pointer = new_pointer(
            view.release_idle_slot(lease, view.read_pointer()).pointer,
            run_id,
            AS_OF,
            "1",
            table.num_rows,
        )
        assert (
            stage(
                view, [table.slice(0, 15), table.slice(15)], pointer, lease, table.num_rows
            ).refused
            == 0
        )
    return pointer


def published(view: View, table: pa.Table, run_id: str = "run") -> Pointer:
    pointer = staged(view, table, run_id)
    with leased(view) as lease:
        return view.switch(lease, view.read_pointer(), pointer)


def key(entity: str) -> bytes:
    return entity_key(PROJECT, ["shop_id"], [entity], ["string"])


def stored(store: redis.Redis, entity: str, pointer: Pointer) -> dict[str, Any]:
    values = map(decode_value, store.hmget(key(entity), slot_fields(PUBLICATION, pointer.slot)))
    return dict(zip((field.name for field in FEATURES), values, strict=True))


def test_a_staged_run_reads_back(view: View, store: redis.Redis) -> None:
    pointer = staged(view, scored())
    verify_staged(view, scored(), pointer, 0)
    assert stored(store, "S3", pointer) == {
        "prediction": 101.0,
        "probabilities": None,
        "model_version": "1",
        "run_id": "run",
    }
    stamp = store.hget(key("S3"), timestamp_field(slot_view(VIEW, pointer.slot)))
    assert decode_timestamp(stamp) == AS_OF.timestamp()


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["low", "hoch·"], ["low", "hoch·"]),
        ([True, False], ["true", "false"]),
        ([3, 4], ["3", "4"]),
    ],
)
def test_classes_are_stored_as_text_with_their_probabilities(
    view: View, store: redis.Redis, labels: list[Any], names: list[str]
) -> None:
    text = replace(
        view,
        publication=replace(
            PUBLICATION, features=(replace(FEATURES[0], dtype="string"), *FEATURES[1:])
        ),
    )
    shares = pa.array(['{"low": 0.30000000000000004}', '{"low": 1.0}'])
    table = scored(2, labels).set_column(2, "probabilities", shares)
    pointer = staged(text, table)
    verify_staged(text, table, pointer, 0)
    assert [stored(store, entity, pointer)["prediction"] for entity in ("S0", "S1")] == names
    assert stored(store, "S0", pointer)["probabilities"] == shares[0].as_py()
    assert predictions_in([table]) == dict.fromkeys(names, 1)


def test_a_row_that_was_not_scored_is_not_stored(view: View, store: redis.Redis) -> None:
    table = scored(3).set_column(3, "failure", pa.array([None, "no weight", None]))
    staged(view, table)
    assert [store.exists(key(f"S{row}")) for row in range(3)] == [1, 0, 1]
    assert predicted_rows(table).num_rows == 2


@pytest.mark.parametrize("entity", ["S0", "S20", "S39"])
def test_a_changed_row_is_refused_by_its_key(view: View, store: redis.Redis, entity: str) -> None:
    pointer = staged(view, scored())
    store.hset(key(entity), slot_fields(PUBLICATION, pointer.slot)[0], encode_value(5.0, "float64"))
    with pytest.raises(Refused, match=f"the prediction of {entity} does not read back"):
        verify_staged(view, scored(), pointer, 0)


@pytest.mark.parametrize("harm", ["gone", "cut", "another type"])
def test_a_row_that_can_not_be_read_is_refused(view: View, store: redis.Redis, harm: str) -> None:
    pointer = staged(view, scored())
    if harm == "cut":
        store.hset(key("S7"), slot_fields(PUBLICATION, pointer.slot)[0], b"\x29\x00")
    else:
        store.delete(key("S7"))
    if harm == "another type":
        store.set(key("S7"), "something else")
    with pytest.raises(Refused, match="S7"):
        verify_staged(view, scored(), pointer, 0)


def test_a_key_of_another_type_is_named_and_harms_no_neighbour(
    view: View, store: redis.Redis
) -> None:
    store.set(key("S7"), "something else")
    with leased(view) as lease:
        pointer = new_pointer(None, "run", AS_OF, "1", 40)
        done = stage(view, [scored()], pointer, lease, 40)
    ((name, reason),) = done.named
    assert done.refused == 1
    assert name == key("S7")
    assert "WRONGTYPE" in reason
    verify_staged(view, scored(), pointer, 1)
    assert store.get(key("S7")) == b"something else"
    assert stored(store, "S8", pointer)["run_id"] == "run"


def test_a_store_that_went_away_is_unreachable(view: View, tmp_path: Path) -> None:
    pointer = staged(view, scored(2))
    nowhere = replace(
        view, client=client(load_settings(redis_url=f"unix://{tmp_path}/nobody.sock"))
    )
    with pytest.raises(ServiceUnreachable):
        nowhere.read_pointer()
    with pytest.raises(ServiceUnreachable):
        verify_staged(nowhere, scored(2), pointer, 0)
    with pytest.raises(ServiceUnreachable):
        check_memory(nowhere, scored(2), pointer, 2)
    with leased(view) as lease, pytest.raises(ServiceUnreachable):
        prune_slot(nowhere, [scored(2)], pointer, lease)


def test_staging_leaves_the_published_run_whole(view: View, store: redis.Redis) -> None:
    first = published(view, scored(), "first")
    before = stored(store, "S3", first)
    second = staged(view, scored(values=[7.0] * 40), "second")
    assert view.read_pointer().pointer == first
    assert stored(store, "S3", first) == before
    with leased(view) as lease:
        view.switch(lease, view.read_pointer(), second)
    assert view.read_pointer().pointer.run_id == "second"  # type: ignore[union-attr]
    assert stored(store, "S3", second)["prediction"] == 7.0


def test_nothing_published_is_no_pointer(view: View) -> None:
    assert view.read_pointer().pointer is None


def test_tokens_and_moments_of_publication_count_up(view: View) -> None:
    first, second = published(view, scored(), "first"), published(view, scored(), "second")
    assert second.token > first.token
    assert first.published_at is not None
    assert second.published_at is not None
    assert second.published_at >= first.published_at


def test_a_run_is_rolled_back_and_forth(view: View) -> None:
    first, second = published(view, scored(), "first"), published(view, scored(), "second")
    for expected in (first, second, first):
        with leased(view) as lease:
            now = view.roll_back(lease)
        assert view.read_pointer().pointer == now
        assert (now.run_id, now.slot) == (expected.run_id, expected.slot)


def test_there_is_no_way_back_from_the_first_run(view: View) -> None:
    published(view, scored(), "first")
    with leased(view) as lease, pytest.raises(MissingStepError, match="no run to roll back to"):
        view.roll_back(lease)


def test_there_is_no_way_back_to_a_slot_that_another_run_began_to_overwrite(view: View) -> None:
    published(view, scored(), "first")
    second = published(view, scored(), "second")
    staged(view, scored(), "third")
    with leased(view) as lease, pytest.raises(MissingStepError, match="no run to roll back to"):
        view.roll_back(lease)
    assert view.read_pointer().pointer == second.alone()


def test_what_left_is_pruned_and_nothing_else(view: View, store: redis.Redis) -> None:
    other = replace(view, project="work" + PROJECT)
    published(view, scored(), "first")
    published(other, scored(), "another project's")
    store.hset(key("S39"), b"_ts:another_view", b"x")
    published(view, scored(), "second")
    third = published(view, scored(30), "third")
    with leased(view) as lease:
        assert prune_slot(view, [scored(30)], third, lease) == 10
        assert prune_slot(view, [scored(30)], third, lease) == 0
    assert stored(store, "S39", third)["run_id"] is None
    assert store.hget(key("S39"), b"_ts:another_view") == b"x"
    assert stored(store, "S29", third)["run_id"] == "third"
    assert stored(store, "S39", view.read_pointer().pointer.previous)["run_id"] == "second"  # type: ignore[union-attr,arg-type]
    assert store.hlen(entity_key("work" + PROJECT, ["shop_id"], ["S39"], ["string"])) > 0


def test_a_run_that_lost_its_lease_prunes_no_further(view: View) -> None:
    pointer = published(view, scored())
    with leased(view) as lease:
        lease.held_until = 0.0  # as after a pause that was longer than the lease
        with pytest.raises(Locked, match="lost its lease"):
            prune_slot(view, [scored(30)], pointer, lease)


def test_a_run_that_would_fill_redis_is_refused_before_it_is_written(
    view: View, store: redis.Redis
) -> None:
    pointer, table = new_pointer(None, "run", AS_OF, "1", 10**6), scored()
    assert check_memory(view, table, pointer, 10**6).limit == 0
    used = int(store.info("memory")["used_memory"])
    try:
        store.config_set("maxmemory", used + 20_000_000)
        with pytest.raises(
            Refused, match=r"would pass Redis' maxmemory: 1000000 rows take about \d+ MiB more"
        ):
            check_memory(view, table, pointer, 10**6)
        assert check_memory(view, table, pointer, 10_000).fits
    finally:
        store.config_set("maxmemory", 0)
    assert store.dbsize() == 0


def test_the_estimate_is_near_the_truth(view: View, store: redis.Redis) -> None:
    rows = 20_000
    table, pointer = scored(rows), new_pointer(None, "run", AS_OF, "1", rows)
    store.config_set("maxmemory", 10**9)
    try:
        before = int(store.info("memory")["used_memory"])
        needed = check_memory(view, table.slice(0, 64), pointer, rows).needed
        staged(view, table)
        grown = int(store.info("memory")["used_memory"]) - before
        assert 0.7 < needed / grown < 1.6
        again = check_memory(view, table.slice(0, 64), pointer, rows).needed
        assert again < needed / 10, "the same slot again takes no more"
    finally:
        store.config_set("maxmemory", 0)
