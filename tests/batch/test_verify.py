"""What must hold before a run is published."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis
from feast.infra.online_stores.helpers import _mmh3

from batch.publish import publish, published, redis_key, stage
from batch.score import Scores
from batch.verify import verify_scores, verify_staged
from potluck.contract.errors import Refused, ServiceUnreachable
from potluck.contract.features import Field, Publication
from potluck.contract.publication import SLOTS, Pointer, slot_view
from potluck.contract.redis_format import decode_timestamp, decode_value, encode_value, timestamp_field
from potluck.contract.settings import Settings, load_settings
from potluck.stores.embedded_redis import client, ensure_redis, stop_redis

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
        slot: tuple(_mmh3(f"{slot_view(VIEW, slot)}:{field.name}").hex() for field in FEATURES) for slot in SLOTS
    },
    source="history",
)


def scores(rows: int = 40, **changes: Any) -> Scores:
    whole = Scores(
        as_of=AS_OF,
        population=rows,
        keys=[f"S{row}" for row in range(rows)],
        values=[100.0 + row / 3 for row in range(rows)],
        probabilities=None,
        failures=[],
    )
    return replace(whole, **changes)


def failed(count: int, of: int) -> Scores:
    whole = scores(of)
    failures = [(key, "no weight") for key in whole.keys[:count]]
    return replace(whole, keys=whole.keys[count:], values=whole.values[count:], failures=failures)


def test_one_finite_prediction_for_each_entity_passes() -> None:
    verify_scores(scores())
    verify_scores(scores(2, values=["low", "high"]))
    verify_scores(scores(2, values=[True, 3]))


@pytest.mark.parametrize(("count", "of"), [(1, 100), (10, 1000)])
def test_up_to_one_in_a_hundred_may_fail(count: int, of: int) -> None:
    verify_scores(failed(count, of))


@pytest.mark.parametrize(("count", "of"), [(1, 99), (11, 1000), (1, 1), (40, 40)])
def test_more_failures_are_refused_with_the_first_reason(count: int, of: int) -> None:
    with pytest.raises(Refused, match=f"{count} of {of} entities could not be scored, the first being S0: no weight"):
        verify_scores(failed(count, of))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_prediction_that_is_not_finite_is_refused_by_its_key(value: float) -> None:
    with pytest.raises(Refused, match="1 predictions are not finite, the first being that of S1"):
        verify_scores(scores(3, values=[1.0, value, 2.0]))


def test_an_entity_that_is_there_twice_is_refused() -> None:
    with pytest.raises(Refused, match="expected one prediction for each of 3 entities"):
        verify_scores(scores(3, keys=["S0", "S1", "S0"]))


def test_an_entity_that_got_lost_is_refused() -> None:
    with pytest.raises(Refused, match="expected one prediction for each of 41 entities, got 40"):
        verify_scores(scores(40, population=41))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A real redis-server of its own."""
    found = Settings(home=tmp_path_factory.mktemp("home"), redis_url=None)
    ensure_redis(found)
    yield found
    stop_redis(found)


@pytest.fixture
def store(settings: Settings) -> redis.Redis:
    """An empty one for each test."""
    connected = client(settings)
    connected.flushall()
    return connected


def staged(store: redis.Redis, run: Scores, version: str = "1") -> Pointer:
    return stage(store, PROJECT, PUBLICATION, run, version, lambda step, done, total: None)


def verify(store: redis.Redis, run: Scores, pointer: Pointer) -> None:
    verify_staged(store, PROJECT, PUBLICATION, run, pointer)


def key(entity: str) -> bytes:
    return redis_key(PROJECT, PUBLICATION, entity)


def stored(store: redis.Redis, entity: str, pointer: Pointer) -> dict[str, Any]:
    fields = [bytes.fromhex(text) for text in PUBLICATION.field_ids[pointer.slot]]
    values = map(decode_value, store.hmget(key(entity), fields))
    return dict(zip((field.name for field in FEATURES), values, strict=True))


def test_a_staged_run_reads_back(store: redis.Redis) -> None:
    run = scores()
    pointer = staged(store, run)
    verify(store, run, pointer)
    assert stored(store, "S3", pointer) == {
        "prediction": 101.0,
        "probabilities": None,
        "model_version": "1",
        "run_id": pointer.run_id,
    }
    stamp = store.hget(key("S3"), timestamp_field(slot_view(VIEW, pointer.slot)))
    assert decode_timestamp(stamp) == AS_OF.timestamp()


def test_classes_read_back_with_their_probabilities(store: redis.Redis) -> None:
    text = replace(FEATURES[0], dtype="string")
    classes = replace(PUBLICATION, features=(text, *FEATURES[1:]))
    run = scores(
        2, values=["low", "hoch·"], probabilities=[{"low": 0.1 + 0.2, "hoch·": 0.7}, {"low": 0.0, "hoch·": 1.0}]
    )
    pointer = stage(store, PROJECT, classes, run, "1", lambda step, done, total: None)
    verify_staged(store, PROJECT, classes, run, pointer)


@pytest.mark.parametrize("entity", ["S0", "S20", "S39"])
def test_a_changed_row_is_refused_by_its_key(store: redis.Redis, entity: str) -> None:
    run = scores()
    pointer = staged(store, run)
    store.hset(key(entity), bytes.fromhex(PUBLICATION.field_ids[pointer.slot][0]), encode_value(5.0, "float64"))
    with pytest.raises(Refused, match=f"the prediction of {entity} does not read back"):
        verify(store, run, pointer)


def test_a_row_that_is_not_there_is_refused(store: redis.Redis) -> None:
    run = scores()
    pointer = staged(store, run)
    store.delete(key("S7"))
    with pytest.raises(Refused, match="the prediction of S7 does not read back"):
        verify(store, run, pointer)


def test_a_row_of_other_bytes_is_refused(store: redis.Redis) -> None:
    run = scores()
    pointer = staged(store, run)
    store.hset(key("S7"), bytes.fromhex(PUBLICATION.field_ids[pointer.slot][0]), b"\x29\x00")
    with pytest.raises(Refused, match="S7"):
        verify(store, run, pointer)


def test_a_key_of_another_type_is_refused(store: redis.Redis) -> None:
    run = scores()
    pointer = staged(store, run)
    store.set(key("S7"), "something else")
    with pytest.raises(Refused, match="S7"):
        verify(store, run, pointer)


def test_a_sample_of_a_large_run_reaches_its_end(store: redis.Redis) -> None:
    run = scores(2500)
    pointer = staged(store, run)
    store.delete(key("S2498"))
    with pytest.raises(Refused, match="S2498"):
        verify(store, run, pointer)


def test_a_store_that_went_away_is_unreachable(store: redis.Redis, tmp_path: Path) -> None:
    run = scores(2)
    pointer = staged(store, run)
    nowhere = client(load_settings(redis_url=f"unix://{tmp_path}/nobody.sock"))
    with pytest.raises(ServiceUnreachable):
        published(nowhere, PROJECT, PUBLICATION)
    with pytest.raises(ServiceUnreachable):
        verify(nowhere, run, pointer)


def test_staging_leaves_the_published_run_whole(store: redis.Redis) -> None:
    first = staged(store, scores())
    publish(store, PROJECT, PUBLICATION, first)
    before = stored(store, "S3", first)
    second = staged(store, scores(values=[7.0] * 40), version="2")
    assert published(store, PROJECT, PUBLICATION) == first
    assert stored(store, "S3", first) == before
    publish(store, PROJECT, PUBLICATION, second)
    assert published(store, PROJECT, PUBLICATION) == second
    assert stored(store, "S3", second)["prediction"] == 7.0


def test_the_same_run_again_has_the_same_name_and_another_has_another(store: redis.Redis) -> None:
    names = {staged(store, run, version).run_id for run, version in [(scores(), "1"), (scores(), "1")]}
    assert len(names) == 1
    others = [(scores(), "2"), (scores(values=[7.0] * 40), "1"), (scores(as_of=AS_OF.replace(day=2)), "1")]
    assert len(names | {staged(store, run, version).run_id for run, version in others}) == 4


def test_nothing_published_is_no_pointer(store: redis.Redis) -> None:
    assert published(store, PROJECT, PUBLICATION) is None
