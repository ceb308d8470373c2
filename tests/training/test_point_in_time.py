"""A training row holds what was known at its time, and nothing that was learnt later."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import warm_python

ROOT = Path(__file__).resolve().parent.parent.parent

SCENARIO = """
import json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from potluck.contract.settings import load_settings
from potluck.stores.apply.run import apply_repo
from potluck.stores.definitions.repo import open_store
from potluck.stores.ingest.ingest_file import load_ingest
from potluck.stores.ingest.sources import write_sources
from potluck.contract.errors import Refused
from training.dataset import labelled_dataset
from training.split import split

repo = Path(sys.argv[1])
folder = load_settings().data_folder("house_prices")
write_sources(folder, load_ingest(repo)([], 80, 3))
definition = apply_repo(repo).definitions["house_price_hybrid"]
now = datetime(2026, 1, 1, tzinfo=UTC)

def quality():
    dataset = labelled_dataset(open_store(repo), definition.contract, now)
    keys = dataset.inputs.keys.column("Id").to_pylist()
    return dict(zip(keys, dataset.inputs.columns["OverallQual"]))

def dated(records, days, value):
    moved = pc.add(records["event_timestamp"], pa.scalar(timedelta(days=days)))
    values = pa.array([value] * len(records), pa.int64())
    names = records.column_names
    out = records.set_column(names.index("event_timestamp"), "event_timestamp", moved)
    return out.set_column(names.index("OverallQual"), "OverallQual", values)

path = folder / "assessor.parquet"
truth = pq.read_table(path)
sales = pq.read_table(folder / "sales.parquet")
found = {"plain": quality()}
pq.write_table(pa.concat_tables([truth, dated(truth, 60, 99), dated(truth, -400, -1)]), path)
found["with_later_and_earlier"] = quality()
half = truth.filter(pc.less(truth["Id"], 41))
rest = truth.filter(pc.greater(truth["Id"], 40))
pq.write_table(pa.concat_tables([half, dated(rest, 60, 99)]), path)
found["half_later"] = quality()
pq.write_table(dated(truth, 60, 99), path)
try:
    quality()
except Refused as error:
    found["only_later"] = str(error)
pq.write_table(truth, path)
dataset = labelled_dataset(open_store(repo), definition.contract, now)
parts = split(dataset.splittable(definition.contract), "time", 0)
earlier, later = dataset.take(parts.learn), dataset.take(parts.test)
last, first = max(earlier.inputs.times), min(later.inputs.times)
found["split"] = [last.isoformat(), first.isoformat(), len(earlier), len(later)]
cut = datetime(2008, 1, 1, tzinfo=UTC)
visible = labelled_dataset(open_store(repo), definition.contract, cut)
found["visible"] = [max(visible.inputs.times).isoformat(), len(visible)]
again = labelled_dataset(open_store(repo), definition.contract, now)
found["digests"] = [dataset.digest, again.digest, visible.digest]
found["truth"] = dict(zip(truth["Id"].to_pylist(), truth["OverallQual"].to_pylist()))
print("FOUND" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("point_in_time")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("POTLUCK_", "REDIS"))
    }
    command = [sys.executable, "-W", "ignore", "-c", SCENARIO, str(ROOT / "feature_repo")]
    ended = warm_python.run(
        command,
        env={**environment, "POTLUCK_HOME": str(home)},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.split("FOUND")[1])


def test_every_sale_gets_the_record_of_its_own_time(found: dict[str, Any]) -> None:
    assert found["plain"] == found["truth"]


def test_a_record_dated_after_the_sale_never_enters_its_training_row(found: dict[str, Any]) -> None:
    """A plain join would bring 99 (the latest), or three rows a sale.

    The latest record before the sale is the truth.
    """
    assert found["with_later_and_earlier"] == found["truth"]


def test_a_house_known_only_after_its_sale_is_not_learnt_from(found: dict[str, Any]) -> None:
    """HTTP would have answered with 404 at that time."""
    assert set(found["half_later"]) == {key for key in found["truth"] if int(key) <= 40}
    assert 99 not in found["half_later"].values()


def test_records_dated_after_every_label_are_refused_with_both_dates(found: dict[str, Any]) -> None:
    told = found["only_later"]
    assert (
        "all 57 looked-up columns of house_price_hybrid are missing in every training row" in told
    )
    assert (
        "the records of assessor_record are dated after the labels of their entities "
        "(the earliest record 2" in told
    )
    assert "date the records before the labels" in told


def test_the_split_by_time_keeps_every_moment_on_one_side(found: dict[str, Any]) -> None:
    last_of_earlier, first_of_later, earlier, later = found["split"]
    assert last_of_earlier < first_of_later
    assert earlier > later > 0


def test_as_of_hides_later_labels(found: dict[str, Any]) -> None:
    latest, rows = found["visible"]
    assert latest <= "2008-01-01"
    assert 0 < rows < len(found["plain"])


def test_the_same_data_has_the_same_digest(found: dict[str, Any]) -> None:
    first, again, cut = found["digests"]
    assert first == again != cut
