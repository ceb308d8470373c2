"""`materialize` deletes entities that left the data, but not most of a view without somebody's
word."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from potluck.contract.redis_format import entity_key
from potluck.redis.embedded import client
from potluck.stores.ingest.sources import write_parquet

PUSH = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import pandas as pd
from potluck.stores.definitions.repo import open_store
store = open_store(Path(sys.argv[1]))
rows = {"flower_id": range(900, 1900), "petal_length": 1.0, "petal_width": 1.0}
frame = pd.DataFrame(rows).assign(event_timestamp=datetime.now(UTC))
store.write_to_online_store("petal_record", frame)
"""


@pytest.fixture
def petals(iris: Any) -> Iterator[Path]:
    """The file of the petals, put back (and the store with it) afterwards."""
    path = iris.settings.data_folder("iris") / "petals.parquet"
    kept = path.read_bytes()
    assert iris.verb("materialize", "--force", "a fresh start").returncode == 0
    yield path
    path.write_bytes(kept)
    iris.verbs(["materialize", "--force", "back to the start"])


def keep_rows(path: Path, rows: int) -> None:
    write_parquet(path, pq.read_table(path).slice(0, rows))


def stored(stack: Any) -> dict[bytes, Any]:
    """All that the online store holds of entities."""
    redis = client(stack.settings)
    names = [name for name in redis.scan_iter("*") if redis.type(name) == b"hash"]
    return {name: redis.hgetall(name) for name in names}


@pytest.mark.parametrize("rows", [0, 60])
def test_a_view_that_would_lose_most_of_its_entities_is_refused_before_anything_is_written(
    iris: Any, petals: Path, rows: int
) -> None:
    keep_rows(petals, rows)
    before = stored(iris)
    refused = iris.verb("materialize")
    assert refused.returncode == 65
    assert "nothing was written" in refused.stderr
    assert f"view petal_record: {150 - rows} of 150 entities" in refused.stderr
    assert "are not in source petals" in refused.stderr
    assert "POTLUCK_MATERIALIZE_MAX_GONE=0.5" in refused.stderr
    assert "--force REASON" in refused.stderr
    assert stored(iris) == before


def test_the_reason_goes_past_it_and_stands_in_the_output(iris: Any, petals: Path) -> None:
    keep_rows(petals, 60)
    forced = iris.verb("materialize", "--force", "the garden burnt down", "--json")
    assert forced.returncode == 0, forced.stderr
    told = json.loads(forced.stdout)
    assert told["forced"] == "the garden burnt down"
    assert [view["pruned"] for view in told["views"]] == [90]
    again = iris.verb("materialize")
    assert again.returncode == 0, "the same data again takes nothing out"


def test_fewer_than_the_share_go_as_before(iris: Any, petals: Path) -> None:
    keep_rows(petals, 100)
    ended = iris.verb("materialize")
    assert ended.returncode == 0
    assert "50 entities gone from the data taken out" in ended.stdout


def test_other_entities_in_the_place_of_all_are_refused_though_they_are_as_many(
    iris: Any, petals: Path
) -> None:
    table = pq.read_table(petals)
    place = table.column_names.index("flower_id")
    others = pc.cast(pc.add(table["flower_id"], 10_000), table.schema.field(place).type)
    write_parquet(petals, table.set_column(place, table.schema.field(place), others))
    refused = iris.verb("materialize")
    assert refused.returncode == 65
    assert "150 of 150 entities (100%)" in refused.stderr


def test_the_share_is_a_setting(iris: Any, petals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_rows(petals, 149)
    environment = {**iris.environment, "POTLUCK_MATERIALIZE_MAX_GONE": "0"}
    monkeypatch.setattr(type(iris), "environment", environment)
    assert iris.verb("materialize").returncode == 65


def test_an_as_of_date_before_most_records_is_refused(iris: Any, petals: Path) -> None:
    """One flower a day was seen from 2020-01-01 on."""
    refused = iris.verb("materialize", "--as-of", "2020-01-10")
    assert refused.returncode == 65
    assert "140 of 150 entities" in refused.stderr


def test_pushed_entities_are_not_counted_as_gone(iris: Any, petals: Path) -> None:
    """They stay in any case: they need never have been in the data."""
    try:
        iris.python(PUSH, str(iris.repo.path))
        ended = iris.verb("materialize")
        assert ended.returncode == 0, ended.stderr
        assert "gone from the data" not in ended.stdout
    finally:
        keys = [
            entity_key("iris", ["flower_id"], [number], ["int64"]) for number in range(900, 1900)
        ]
        client(iris.settings).delete(*keys)


@pytest.mark.parametrize("verb", [("materialize",), ("nightly",), ("train", "iris_hybrid")])
def test_a_mistyped_date_ahead_asks_for_a_reason_before_anything_is_done(
    iris: Any, petals: Path, verb: tuple[str, ...]
) -> None:
    before = stored(iris)
    refused = iris.verb(*verb, "--as-of", "2206-01-01")
    assert refused.returncode == 65
    assert (
        "nothing was done: the as-of date 2206-01-01T00:00:00+00:00 lies in the future"
        in refused.stderr
    )
    assert "--force REASON" in refused.stderr
    assert stored(iris) == before


def test_a_date_ahead_that_is_meant_is_taken(iris: Any, petals: Path) -> None:
    forced = iris.verb("materialize", "--as-of", "2206-01-01", "--force", "prices of 2206")
    assert forced.returncode == 0, forced.stderr
    assert "forced: prices of 2206" in forced.stdout


def test_a_training_ahead_that_is_meant_says_why(iris: Any, petals: Path) -> None:
    options = (
        "--as-of",
        "2206-01-01",
        "--force",
        "prices of 2206",
        "--param",
        "num_iterations=3",
        "--json",
    )
    told = iris.verb("train", iris.repo.realtime, *options)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["forced"] == "prices of 2206"
