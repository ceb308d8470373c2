"""The online store follows the data: an emptied Redis refills, a corrected record replaces, a
vanished entity goes."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from potluck.contract.publication import pointer_key
from potluck.contract.redis_format import entity_key
from potluck.redis.embedded import client
from potluck.stores.ingest.sources import write_parquet

MATERIALIZE = ["materialize"]


@pytest.fixture
def petals(iris: Any) -> Iterator[Any]:
    """The petals' parquet file, put back (and the store with it) afterwards."""
    path = iris.settings.data_folder("iris") / "petals.parquet"
    kept = pq.read_table(path)
    yield path
    write_parquet(path, kept)
    iris.verbs(MATERIALIZE)


def predict(stack: Any, row: dict[str, Any]) -> Any:
    return stack.post(f"/predict/{stack.repo.hybrid}", row)


def test_an_emptied_store_refills(iris: Any) -> None:
    row = iris.population()[0]
    before = predict(iris, row).json()["probabilities"]
    redis = client(iris.settings)
    pointer = redis.get(pointer_key("iris", "species_predictions"))
    kept = {name: redis.dump(name) for name in redis.keys("*")}
    redis.flushall()
    try:
        assert predict(iris, row).status_code == 404
        iris.verbs(MATERIALIZE)
        assert predict(iris, row).json()["probabilities"] == before
    finally:
        for name, dumped in kept.items():
            redis.restore(name, 0, dumped, replace=True)
    assert pointer is not None
    assert redis.get(pointer_key("iris", "species_predictions")) == pointer


def test_a_corrected_record_of_the_same_time_replaces_the_wrong_one(iris: Any, petals: Any) -> None:
    """Stock Feast drops a row whose timestamp equals the stored one."""
    row = iris.population()[0]
    before = predict(iris, row).json()["probabilities"]
    table = pq.read_table(petals)
    swapped = pc.subtract(7.5, table["petal_length"])
    write_parquet(
        petals, table.set_column(table.column_names.index("petal_length"), "petal_length", swapped)
    )
    iris.verbs(MATERIALIZE)
    assert predict(iris, row).json()["probabilities"] != before


def test_an_entity_that_left_the_data_leaves_the_store(iris: Any, petals: Any) -> None:
    gone, stays = iris.population()[:2]
    table = pq.read_table(petals)
    write_parquet(petals, table.filter(pc.not_equal(table["flower_id"], gone["flower_id"])))
    iris.verbs(MATERIALIZE)
    assert predict(iris, gone).json()["error_code"] == "ENTITY_NOT_FOUND"
    assert predict(iris, stays).status_code == 200
    assert iris.get(f"/lookup/{iris.repo.batch}/{gone['flower_id']}").status_code == 200, (
        "the published run is another view"
    )


def test_as_of_decides_which_records_are_visible(iris: Any, petals: Any) -> None:
    """One flower a day was seen from 2020-01-01 on."""
    iris.verbs(["materialize", "--as-of", "2020-01-10", "--force", "to see the first ten"])
    answers = [predict(iris, row).status_code for row in iris.population()]
    assert sorted(answers) == [200] * 10 + [404] * 140


def test_what_stayed_out_is_told(iris: Any) -> None:
    redis, flower = client(iris.settings), iris.population()[0]["flower_id"]
    key = entity_key(
        "iris", ["flower_id"], [flower], [("string", "int64")[isinstance(flower, int)]]
    )
    kept = redis.dump(key)
    redis.delete(key)
    redis.set(key, "no hash")
    try:
        told = iris.verb("materialize", "--json")
        words = iris.verb("materialize").stdout
    finally:
        redis.restore(key, 0, kept, replace=True)
    view = json.loads(told.stdout)["views"][0]
    counts = {
        name: view[name]
        for name in ("entities", "written", "skipped_older", "skipped_future", "rejected", "pruned")
    }
    assert counts == {
        "entities": 150, "written": 149, "skipped_older": 0, "skipped_future": 0, "rejected": 1, "pruned": 0
    }  # fmt: skip
    assert view["examples"]["rejected"] == [f"flower_id={flower}"]
    (account,) = json.loads(told.stdout)["accounts"]
    assert account == view["account"]
    assert (account["came"], account["kept"]) == (150, 149)
    refused = "refused by Redis: the key holds something else than a hash; delete those keys"
    assert account["left_out"] == [
        {"reason": refused, "count": 1, "examples": [f"flower_id={flower}"]}
    ]
    assert f"150 rows came, 149 kept, 1 left out: 1 {refused} (flower_id={flower})" in words
