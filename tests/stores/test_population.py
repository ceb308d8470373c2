"""The nightly run's reading gives, shard by shard, what the whole point-in-time join gives."""

import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureStore, FeatureView, FileSource, ValueType
from feast import Field as Feature
from feast.types import Float64, String
from feast_stores import parquet, stock_and_ours

from batch.score import population_inputs
from potluck.contract.errors import DataError, DefinitionError, MissingStepError
from potluck.contract.features import DType, FeatureContract, Field, LookupView
from potluck.stores.population import Population, Shard, Some

ROOT = Path(__file__).resolve().parent.parent.parent

SCENARIO = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from batch.score import population_inputs
from potluck.contract.settings import load_settings
from potluck.stores.apply import apply_repo
from potluck.stores.population import Population
from potluck.stores.repo import open_store
from potluck.stores.sources import load_ingest, write_sources

repo, project, service, rows, moments = Path(sys.argv[1]), *sys.argv[2:4], int(sys.argv[4]), sys.argv[5:]
write_sources(load_settings().data_folder(project), load_ingest(repo)([], rows, 3))
contract = apply_repo(repo)[service].contract
store = open_store(repo)
found = []
for moment in moments:
    as_of = datetime.fromisoformat(moment)
    population = Population.of(store, contract, as_of)
    batches = [population.read(shard) for shard in population.shards(rows=37)]
    whole = population_inputs(store, SimpleNamespace(contract=contract), as_of).table
    whole = whole.sort_by(contract.keys[0].name).drop_columns(["event_timestamp"])
    hexed = lambda table: {n: [v.hex() if isinstance(v, float) else v for v in table[n].to_pylist()] for n in names}
    names = whole.column_names
    import pyarrow as pa
    read = pa.Table.from_batches(batches)
    found.append({
        "read": hexed(read), "whole": hexed(whole), "names": [read.column_names, names],
        "types": [list(map(str, read.schema.types)), list(map(str, whole.schema.types))],
        "entities": population.counted().entities, "rows": [batch.num_rows for batch in batches],
    })
print("FOUND" + json.dumps(found))
"""

REPOS = {
    "houses": ("feature_repo", "house_prices", "house_price_hybrid", "300", ["2008-03-01", "2026-06-01"]),
    "iris": ("examples/iris", "iris", "iris_hybrid", "150", ["2020-02-20", "2026-06-01"]),
}


@pytest.mark.parametrize("repo", REPOS)
def test_every_shard_holds_the_bits_of_the_whole_join(repo: str, tmp_path: Path) -> None:
    folder, project, service, rows, days = REPOS[repo]
    moments = [f"{day}T00:00:00+00:00" for day in days]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("POTLUCK_", "REDIS"))}
    command = [sys.executable, "-W", "ignore", "-c", SCENARIO, str(ROOT / folder), project, service, rows, *moments]
    ended = subprocess.run(
        command, env={**environment, "POTLUCK_HOME": str(tmp_path)}, capture_output=True, text=True, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr
    for found in json.loads(ended.stdout.split("FOUND")[1]):
        assert found["read"] == found["whole"]
        for ours, theirs in (found["names"], found["types"]):
            assert ours == theirs
        assert sum(found["rows"]) == found["entities"] == len(next(iter(found["whole"].values())))
        assert set(found["rows"][:-1]) <= {37}


START = datetime(2024, 1, 1, tzinfo=UTC)
AS_OF = START + timedelta(hours=100)
US = pa.timestamp("us", tz="UTC")
KEYS: dict[DType, tuple[ValueType, pa.DataType]] = {
    "int64": (ValueType.INT64, pa.int64()),
    "int32": (ValueType.INT32, pa.int32()),
    "string": (ValueType.STRING, pa.string()),
}


def hours(counts: Sequence[float | None], dtype: pa.DataType = US) -> pa.Array:
    moments = [None if count is None else START + timedelta(hours=count) for count in counts]
    return pa.array(moments, US).cast(dtype, safe=False)


def contract_of(key: DType, views: Sequence[FeatureView]) -> FeatureContract:
    """A service that takes `rooms` and `street` and looks up `area` and `kind`, prefixed by each view's name."""
    types: dict[str, DType] = {"Float64": "float64", "String": "string", "Int64": "int64"}
    return FeatureContract(
        project="parity",
        service="prices",
        objective="regression",
        transform="identity",
        label_source="sales",
        label="price",
        keys=(Field("id", key, "key"),),
        request=(Field("rooms", "int64", "request"), Field("street", "string", "request")),
        online=tuple(Field(f.name, types[str(f.dtype)], "online") for view in views for f in view.features),
        views=tuple(LookupView(view.name, ("id",), tuple(f.name for f in view.features), (), 0) for view in views),
        functions=(),
        columns=(),
        population="people",
    )


def view(source: FileSource, key: DType = "int64", **options: Any) -> FeatureView:
    house = Entity(name="house", join_keys=["id"], value_type=KEYS[key][0])
    fields = [Feature(name=f"{source.name}_area", dtype=Float64), Feature(name=f"{source.name}_kind", dtype=String)]
    return FeatureView(name=f"of_{source.name}", source=source, entities=[house], schema=fields, **options)


def people(path: Path, ids: Any, at: Any, **more: Any) -> FileSource:
    options = {name: more.pop(name) for name in ("created_timestamp_column",) if name in more}
    rows = {"id": ids, "event_timestamp": at, "rooms": pa.array(range(len(ids)), pa.int64())}
    return parquet(path, rows | {"street": [f"street {n}" for n in range(len(ids))]} | more, **options)


def records(path: Path, ids: Any, at: Any, area: Any, **more: Any) -> FileSource:
    options = {name: more.pop(name) for name in ("created_timestamp_column", "field_mapping") if name in more}
    names = {"event_timestamp": at, f"{path.stem}_area": area, f"{path.stem}_kind": [f"k{n}" for n in range(len(ids))]}
    return parquet(path, {"id": ids} | names | more, **options)


def prepared(
    folder: Path, base: FileSource, views: Sequence[FeatureView], key: DType = "int64"
) -> tuple[tuple[FeatureStore, FeatureStore], FeatureContract]:
    house = Entity(name="house", join_keys=["id"], value_type=KEYS[key][0])
    return stock_and_ours(folder, [house, base, *views]), contract_of(key, views)


def read_all(population: Population, rows: int = 7) -> pa.Table:
    return pa.Table.from_batches([population.read(shard) for shard in population.shards(rows)])


def whole(store: FeatureStore, contract: FeatureContract, as_of: datetime) -> pa.Table:
    with warnings.catch_warnings(action="ignore"):
        table = population_inputs(store, SimpleNamespace(contract=contract), as_of).table  # type: ignore[arg-type]
    return table.drop_columns(["event_timestamp"]).sort_by("id")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("seed", range(3))
def test_random_populations_are_read_as_feast_joins_them(tmp_path: Path, key: DType, seed: int) -> None:
    draw = random.Random(seed)

    def moments(count: int) -> tuple[pa.Array, pa.Array]:
        pairs = dict.fromkeys((draw.randrange(60), draw.randrange(-50, 150)) for _ in range(count))
        ids, at = zip(*pairs, strict=True)
        names = [f"é{number}" for number in ids] if key == "string" else ids
        return pa.array(names, KEYS[key][1]), hours(at)

    views = []
    for number in range(2):
        ids, at = moments(200)
        area = [draw.choice([None, float("nan"), -0.0, 5e-324, draw.random()]) for _ in ids]
        ttl = draw.choice([None, timedelta(hours=20)])
        views.append(view(records(tmp_path / f"v{number}.parquet", ids, at, area), key, ttl=ttl))
    stores, contract = prepared(tmp_path, people(tmp_path / "people.parquet", *moments(150)), views, key)
    population = Population.of(stores[1], contract, AS_OF)
    read = read_all(population)
    for store in stores:
        joined = whole(store, contract, AS_OF)
        assert read.schema.equals(joined.schema)
        assert str(read.to_pydict()) == str(joined.to_pydict())
    assert population.counted().entities == read.num_rows


def simple(folder: Path, **more: Any) -> tuple[FeatureStore, FeatureContract]:
    """Entities 1 to 5, of which 4 has two latest rows, 5 comes later, and one has no key."""
    ids, at = pa.array([3, 1, 2, 4, 4, 5, None, 3, 1], pa.int64()), hours([0, 1, 2, 3, 3, 200, 0, 300, None])
    base = people(folder / "people.parquet", ids, at, **more)
    area = records(folder / "v.parquet", pa.array([1, 2, 2, 3, 4]), hours([0, 50, 90, 101, 10]), [1.0, 2, 3, 4, 5])
    stores, contract = prepared(folder, base, [view(area, ttl=timedelta(hours=90))])
    return stores[1], contract


def test_what_does_not_count_is_counted(tmp_path: Path) -> None:
    population = Population.of(*simple(tmp_path), AS_OF)
    counted = population.counted()
    assert (counted.entities, counted.without_key) == (4, Some(1))
    assert (counted.invisible, counted.ambiguous) == (Some(3, (1, 3, 5)), Some(1, (4,)))
    table = read_all(population)
    assert table["id"].to_pylist() == [1, 2, 3, 4]
    assert table["rooms"].to_pylist() == [1, 2, 0, 4]
    assert table["v_area"].to_pylist() == [None, 3, None, 5]


def test_only_the_first_keys_are_named(tmp_path: Path) -> None:
    ids = pa.array([*range(60, 0, -1), *range(1, 61), *range(100, 200)], pa.int64())
    base = people(tmp_path / "people.parquet", ids, hours([0] * 120 + [200] * 100))
    stores, contract = prepared(tmp_path, base, [view(records(tmp_path / "v.parquet", [1], hours([0]), [1.0]))])
    counted = Population.of(stores[1], contract, AS_OF).counted()
    assert counted.ambiguous == Some(60, (1, 2, 3, 4, 5))
    assert counted.invisible == Some(100, (100, 101, 102, 103, 104))


def test_the_row_created_last_counts_and_is_not_ambiguous(tmp_path: Path) -> None:
    created = hours([0, 0, 0, 9, 8, 0, 0, 0, 0])
    population = Population.of(*simple(tmp_path, created=created, created_timestamp_column="created"), AS_OF)
    assert population.counted().ambiguous == Some(0)
    assert read_all(population)["rooms"].to_pylist() == [1, 2, 0, 3]


def test_shards_are_ranges_of_so_many_entities(tmp_path: Path) -> None:
    population = Population.of(*simple(tmp_path), AS_OF)
    assert population.shards(rows=3) == [Shard(0, 3, 1, 3), Shard(1, 1, 4, 4)]
    assert population.shards() == [Shard(0, 4, 1, 4)]


def test_a_field_mapping_and_a_folder_of_files(tmp_path: Path) -> None:
    for number, day in enumerate((0, 24)):
        people(tmp_path / "people" / f"{number}.parquet", pa.array([1, 2 + number]), hours([day, day]))
    base = FileSource(name="people", path=str(tmp_path / "people"), timestamp_field="event_timestamp")
    columns = {"Id": [1, 2], "event_timestamp": hours([0, 0]), "AREA": [1.5, 2.5], "v_kind": ["a", None]}
    source = parquet(tmp_path / "v.parquet", columns, field_mapping={"Id": "id", "AREA": "v_area"})
    stores, contract = prepared(tmp_path, base, [view(source)])
    table = read_all(Population.of(stores[1], contract, AS_OF))
    assert table.select(["id", "rooms", "v_area", "v_kind"]).to_pydict() == {
        "id": [1, 2, 3],
        "rooms": [0, 1, 1],
        "v_area": [1.5, 2.5, None],
        "v_kind": ["a", None, None],
    }


@pytest.mark.parametrize("dtype", [pa.timestamp("ns"), pa.timestamp("ns", tz="UTC"), pa.timestamp("ms"), pa.date32()])
def test_timestamps_of_other_types(tmp_path: Path, dtype: pa.DataType) -> None:
    base = people(tmp_path / "people.parquet", pa.array([1, 1, 1]), hours([0, 96, 120], dtype))
    area = records(tmp_path / "v.parquet", pa.array([1, 1, 1]), hours([0, 96, 120], dtype), [1.0, 2.0, 3.0])
    stores, contract = prepared(tmp_path, base, [view(area)])
    table = read_all(Population.of(stores[1], contract, AS_OF))
    assert (table["rooms"].to_pylist(), table["v_area"].to_pylist()) == ([1], [2])


WITHOUT_FEAST = """
import pickle, sys
population = pickle.load(open(sys.argv[1], "rb"))
print([population.read(shard).num_rows for shard in population.shards(3)], population.fingerprint())
assert "feast" not in sys.modules
"""


def test_another_process_reads_it_without_feast(tmp_path: Path) -> None:
    population = Population.of(*simple(tmp_path), AS_OF)
    (tmp_path / "population.pkl").write_bytes(pickle.dumps(population))
    command = [sys.executable, "-c", WITHOUT_FEAST, str(tmp_path / "population.pkl")]
    told = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert told.strip() == f"[3, 1] {population.fingerprint()}"


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    here, there = simple(tmp_path / "here"), simple(tmp_path / "there")
    first = Population.of(*here, AS_OF).fingerprint()
    assert first == Population.of(*there, AS_OF).fingerprint()
    records(tmp_path / "there" / "v.parquet", pa.array([1]), hours([0]), [1.5])
    assert first != Population.of(*there, AS_OF).fingerprint()


def test_files_that_change_in_between_are_noticed(tmp_path: Path) -> None:
    population = Population.of(*simple(tmp_path), AS_OF)
    shards = population.shards(3)
    people(tmp_path / "people.parquet", pa.array([1]), hours([0]))
    with pytest.raises(
        DataError, match="source people changed while it was read: expected 3 entities from 1 to 3, got 1"
    ):
        population.read(shards[0])


def test_what_spills_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spill").mkdir()
    count = 300_000
    base = people(tmp_path / "people.parquet", pa.array(range(count)), pa.array([START] * count, US))
    stores, contract = prepared(tmp_path, base, [view(records(tmp_path / "v.parquet", [1], hours([0]), [1.0]))])
    population = Population.of(stores[1], contract, AS_OF, threads=2, memory_limit="40MB")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spill"))
    assert sum(population.read(shard).num_rows for shard in population.shards(100_000)) == count
    assert list((tmp_path / "spill").iterdir()) == []


def test_a_population_without_a_row_at_its_date_needs_ingest(tmp_path: Path) -> None:
    population = Population.of(*simple(tmp_path), START - timedelta(days=1))
    for ask in (population.shards, population.counted):
        with pytest.raises(MissingStepError, match="people holds no row up to 2023-12-31; ingest"):
            ask()


def test_a_service_without_one_key_or_a_population_is_refused(tmp_path: Path) -> None:
    store, contract = simple(tmp_path)
    for wrong in (replace(contract, keys=()), replace(contract, population=None)):
        with pytest.raises(DefinitionError, match="one join key and the tag population"):
            Population.of(store, wrong, AS_OF)


def test_a_source_that_is_no_parquet_on_disk_is_refused(tmp_path: Path) -> None:
    store, contract = simple(tmp_path)
    store.registry.apply_data_source(
        FileSource(name="people", path="s3://bucket/people.parquet", timestamp_field="event_timestamp"), store.project
    )
    with pytest.raises(DefinitionError, match=r"source people .* expected a FileSource of parquet on a mounted disk"):
        Population.of(store, contract, AS_OF)


@pytest.mark.parametrize(
    ("name", "column", "said"),
    [
        ("people", {"id": pa.array([1.0])}, "source people, column id: expected a key of type int64, got DOUBLE"),
        ("v", {"id": pa.array(["1"])}, "source v, column id: expected a key of type int64, got VARCHAR"),
        ("people", {"rooms": None}, r"source people .*expected the column rooms, got event_timestamp, id, street"),
        ("v", {"event_timestamp": pa.array(["now"])}, "event_timestamp: expected a timestamp, got VARCHAR"),
    ],
)
def test_a_file_that_is_not_as_declared_is_named(tmp_path: Path, name: str, column: Any, said: str) -> None:
    store, contract = simple(tmp_path)
    path = tmp_path / f"{name}.parquet"
    columns = {known: values[:1] for known, values in pq.read_table(path).to_pydict().items()} | column
    pq.write_table(pa.table({known: values for known, values in columns.items() if values is not None}), path)
    with pytest.raises(DataError, match=said) as refused:
        Population.of(store, contract, AS_OF)
    assert "potluck ingest" in str(refused.value)


def test_a_value_that_is_not_as_declared_is_named(tmp_path: Path) -> None:
    store, contract = simple(tmp_path)
    columns = pq.read_table(tmp_path / "people.parquet")
    pq.write_table(columns.set_column(2, "rooms", pa.array([0.5] * 9)), tmp_path / "people.parquet")
    population = Population.of(store, contract, AS_OF)
    with pytest.raises(DataError, match=r"people\.rooms is declared int64, but holds another type"):
        population.read(population.shards()[0])
