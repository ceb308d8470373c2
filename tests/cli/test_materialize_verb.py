"""`potluck materialize` feeds the champions that a home holds, or refuses before it writes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cli.data.champions import champions_of
from potluck.contract.feed import feed_key, read_feed
from potluck.contract.settings import Settings
from potluck.redis.embedded import client
from potluck.scoring.releases import Releases
from potluck.stores.ingest.sources import write_parquet

NARROWED = """
import sys
from copy import copy
from pathlib import Path
from potluck.stores.definitions.repo import open_store
store = open_store(Path(sys.argv[1]))
view = store.get_feature_view("petal_record")
view.features = [feature for feature in view.features if feature.name != "petal_width"]
store.apply([view])
"""


@pytest.fixture
def narrowed(iris: Any) -> Iterator[Any]:
    """The registry's view has lost a feature that the champion looks up; put back afterwards."""
    petals = iris.settings.data_folder("iris") / "petals.parquet"
    kept = pq.read_table(petals)
    iris.python(NARROWED, str(iris.repo.path))
    yield iris
    write_parquet(petals, kept)
    iris.verbs(["apply"], ["materialize"])


def answers(stack: Any) -> list[Any]:
    rows = stack.population()[:5]
    return [
        stack.post(f"/predict/{stack.repo.hybrid}", row).json().get("probabilities") for row in rows
    ]


def test_a_champion_gets_what_its_view_no_longer_declares(narrowed: Any) -> None:
    before = answers(narrowed)
    told = json.loads(narrowed.verb("materialize", "--json").stdout)
    assert (told["unfed"], told["forced"]) == ([], None)
    assert answers(narrowed) == before
    feed = read_feed(client(narrowed.settings).get(feed_key("iris")))  # type: ignore[arg-type]
    assert feed is not None
    assert feed.views["petal_record"] == ("petal_length", "petal_width")


def test_a_column_that_a_champion_reads_is_not_lost_without_a_reason(narrowed: Any) -> None:
    petals = narrowed.settings.data_folder("iris") / "petals.parquet"
    write_parquet(petals, pq.read_table(petals).drop_columns(["petal_width"]))
    before = answers(narrowed)
    refused = narrowed.verb("materialize")
    assert refused.returncode == 65
    assert (
        "petal_record:petal_width, which champion iris_hybrid version 1 reads: source petals has no"
        in refused.stderr
    )
    assert "--force REASON" in refused.stderr
    assert answers(narrowed) == before
    forced = narrowed.verb("materialize", "--force", "the scale broke")
    assert forced.returncode == 0
    assert "forced: the scale broke" in forced.stdout
    assert "no longer fed: petal_record:petal_width" in forced.stdout
    assert answers(narrowed) != before


def test_force_wants_a_reason(iris: Any) -> None:
    refused = iris.verb("materialize", "--force", " ")
    assert refused.returncode == 2
    assert "expected a reason behind --force" in refused.stderr


def test_champions_of_other_projects_are_not_asked(iris: Any) -> None:
    services = [each.contract.service for each in champions_of(iris.settings, "iris")[0]]
    assert services == ["iris_hybrid", "iris_realtime"]
    assert champions_of(iris.settings, "houses") == ([], [])


def test_a_champion_that_can_not_be_read_is_told_and_left_out(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    folder = Releases(settings.releases).champions
    folder.mkdir(parents=True)
    (folder / "broken.json").write_text("{}")
    found, (told,) = champions_of(settings, "iris")
    assert found == []
    assert "what the champion of broken reads is not known" in told
