"""The ASOF join gives what Feast's own DuckDB store gives, and says what is wrong with a file."""

import gc
import random
import tempfile
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    RequestSource,
    ValueType,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64
from offline_stores import OURS, open_store, parquet, stock_and_ours

from potluck.contract.errors import DataError, MissingStepError

START = datetime(2024, 1, 1, tzinfo=UTC)
US = pa.timestamp("us", tz="UTC")
house = Entity(name="house", join_keys=["house_id"], value_type=ValueType.INT64)
owner = Entity(name="owner", join_keys=["owner_id"], value_type=ValueType.STRING)


def hours(counts: Sequence[float | None], dtype: pa.DataType = US) -> pa.Array:
    moments = [None if count is None else START + timedelta(hours=count) for count in counts]
    return pa.array(moments, US).cast(dtype, safe=False)


def asked(ids: Sequence[Any], at: Sequence[float], **more: Sequence[Any]) -> pd.DataFrame:
    moments = [START + timedelta(hours=hour) for hour in at]
    return pd.DataFrame({"house_id": ids, "event_timestamp": moments, **more})


def view(name: str, source: FileSource, *fields: Field, **options: Any) -> FeatureView:
    return FeatureView(
        name=name, source=source, schema=list(fields), **{"entities": [house], **options}
    )


AREA = Field(name="area", dtype=Float64)


def records(
    path: Path, at: Sequence[float | None], ids: Sequence[Any], area: Sequence[Any], **more: Any
) -> FileSource:
    options = {
        name: more.pop(name)
        for name in ("created_timestamp_column", "field_mapping")
        if name in more
    }
    columns = {
        "house_id": pa.array(ids, pa.int64()),
        "event_timestamp": hours(at),
        "area": pa.array(area, pa.float64()),
    }
    return parquet(path, columns | more, **options)


def history(store: FeatureStore, rows: pd.DataFrame, features: Any, **options: Any) -> pa.Table:
    with warnings.catch_warnings(action="ignore"):
        return store.get_historical_features(rows.copy(), features, **options).to_arrow()


def ordered(table: pa.Table) -> list[str]:
    """Rows as texts that tell every bit, whatever their order."""
    return sorted(map(str, zip(*(column.to_pylist() for column in table.columns), strict=True)))


def assert_alike(
    stores: tuple[FeatureStore, FeatureStore], rows: pd.DataFrame, features: Any, **options: Any
) -> pa.Table:
    """Both stores give the same table, but for the order of its rows; answers ours."""
    stock, ours = (history(store, rows, features, **options) for store in stores)
    assert ours.schema.equals(stock.schema)
    assert ordered(ours) == ordered(stock)
    assert ours["event_timestamp"].to_pylist() == list(
        pd.to_datetime(rows["event_timestamp"], utc=True)
    )
    return ours


@pytest.mark.parametrize("ttl", [None, timedelta(0), timedelta(hours=2), timedelta(days=1)])
def test_the_latest_record_up_to_each_rows_time_within_its_ttl(
    tmp_path: Path, ttl: timedelta | None
) -> None:
    source = records(
        tmp_path / "s.parquet", [0, 1, 2, 2, None, 30], [1, 1, 1, 2, 2, None], [1, None, 3, 4, 5, 6]
    )
    stores = stock_and_ours(tmp_path, [house, view("v", source, AREA, ttl=ttl)])
    rows = asked(
        [1, 1, 1, 1, 2, 2, 2, 3, 1], [-1, 0, 1.5, 4, 1, 4, 26, 5, 4], note=list("abcdefghi")
    )
    found = assert_alike(stores, rows, ["v:area"])
    assert found["note"].to_pylist() == list("abcdefghi")


def test_a_record_as_old_as_its_ttl_counts(tmp_path: Path) -> None:
    source = records(tmp_path / "s.parquet", [0], [1], [1.5])
    stores = stock_and_ours(tmp_path, [house, view("v", source, AREA, ttl=timedelta(hours=2))])
    found = assert_alike(stores, asked([1, 1], [2, 2 + 1e-9 * 3600]), ["v:area"])
    assert found["area"].to_pylist() == [1.5, None]


def test_of_records_at_one_time_the_one_created_last_counts(tmp_path: Path) -> None:
    more = {"created": hours([3, 5, None, 9]), "created_timestamp_column": "created"}
    source = records(tmp_path / "s.parquet", [1, 1, 1, 0], [1, 1, 1, 1], [3, 5, 0, 9], **more)
    stores = stock_and_ours(tmp_path, [house, view("v", source, AREA)])
    found = assert_alike(stores, asked([1], [2]), ["v:area"])
    assert found["area"].to_pylist() == [5]
    cut = [
        history(store, asked([1, 1], [2, 4]), ["v:area"], filter_by_created_timestamp=True)
        for store in stores
    ]
    assert ordered(cut[0]) == ordered(cut[1])


def test_of_records_that_nothing_tells_apart_the_last_in_the_file_counts(tmp_path: Path) -> None:
    source = records(tmp_path / "s.parquet", [1] * 9, [1] * 9, [5, 1, 8, None, 3, 2, 9, 7, 4])
    _, ours = stock_and_ours(tmp_path, [house, view("v", source, AREA)])
    assert history(ours, asked([1, 1], [1, 2]), ["v:area"])["area"].to_pylist() == [4, 4]


def several(tmp_path: Path) -> tuple[FeatureStore, FeatureStore]:
    areas = records(tmp_path / "areas.parquet", [0, 3], [1, 2], [10, 20])
    names = {
        "owner_id": ["ann", "bob"],
        "event_timestamp": hours([0, 0]),
        "area": [0.5, 0.25],
        "pets": [2, None],
    }
    both = {
        "house_id": [1, 1],
        "owner_id": ["ann", "bob"],
        "event_timestamp": hours([0, 0]),
        "rent": [7.0, 8.0],
    }
    views = [
        view("areas", areas, AREA),
        view(
            "owners",
            parquet(tmp_path / "o.parquet", names),
            AREA,
            Field(name="pets", dtype=Int64),
            entities=[owner],
        ),
        view(
            "rents",
            parquet(tmp_path / "b.parquet", both),
            Field(name="rent", dtype=Float64),
            entities=[house, owner],
        ),
    ]
    return stock_and_ours(tmp_path, [house, owner, *views])


def test_several_views_each_by_its_own_keys(tmp_path: Path) -> None:
    rows = asked([1, 1, 2, 3, None], [5, 5, 1, 9, 9], owner_id=["ann", "bob", "ann", None, "bob"])
    assert_alike(
        several(tmp_path),
        rows.astype({"house_id": "Int64"}),
        ["areas:area", "owners:pets", "rents:rent"],
    )


def test_full_feature_names(tmp_path: Path) -> None:
    rows = asked([1, 2], [5, 5], owner_id=["ann", "bob"])
    found = assert_alike(
        several(tmp_path), rows, ["owners:area", "areas:area"], full_feature_names=True
    )
    assert {"owners__area", "areas__area"} < set(found.column_names)


def test_the_same_row_twice_is_kept_twice(tmp_path: Path) -> None:
    rows = asked([1, 1, 2, 2], [5, 5, 5, 5], owner_id=["ann", "ann", "bob", "bob"])
    assert assert_alike(several(tmp_path), rows, ["areas:area", "rents:rent"]).num_rows == 4


def test_join_key_map_and_field_mapping(tmp_path: Path) -> None:
    columns = {"Id": [1, 2], "event_timestamp": hours([0, 0]), "AREA": [1.5, 2.5]}
    source = parquet(
        tmp_path / "s.parquet", columns, field_mapping={"Id": "house_id", "AREA": "area"}
    )
    seen = view("v", source, AREA)
    stores = stock_and_ours(tmp_path, [house, seen])
    assert assert_alike(stores, asked([2, 1], [1, 1]), ["v:area"])["area"].to_pylist() == [2.5, 1.5]
    rows = asked([1, 2], [1, 1], neighbour=[2, 1])
    ours = seen.with_name("own").with_join_key_map({"house_id": "house_id"})
    theirs = seen.with_name("next_door").with_join_key_map({"house_id": "neighbour"})
    service = FeatureService(name="both", features=[ours, theirs])
    stores[0].apply([service])
    found = assert_alike(stores, rows, service, full_feature_names=True)
    assert found.select(["own__area", "next_door__area"]).to_pydict() == {
        "own__area": [1.5, 2.5],
        "next_door__area": [2.5, 1.5],
    }


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
@pytest.mark.parametrize("zone", ["UTC", None, "America/New_York"])
def test_timestamps_of_every_unit_and_zone(tmp_path: Path, unit: str, zone: str | None) -> None:
    """Stock agrees wherever it can read the file; a naive timestamp is one in UTC."""
    times = hours([0, 1.5, 3], pa.timestamp(unit, tz=zone))
    columns = {"house_id": [1, 1, 1], "event_timestamp": times, "area": [1.0, 2.0, 3.0]}
    source = parquet(tmp_path / "s.parquet", columns)
    stores = stock_and_ours(tmp_path, [house, view("v", source, AREA)])
    for rows in (
        asked([1, 1], [2, 3]),
        asked([1, 1], [2, 3]).assign(event_timestamp=["2024-01-01T02", "2024-01-01T03"]),
    ):
        assert assert_alike(stores, rows, ["v:area"])["area"].to_pylist() == [2, 3]


def test_on_demand_views_see_the_joined_features(tmp_path: Path) -> None:
    source = records(tmp_path / "s.parquet", [0, 1], [1, 1], [1, None])
    seen = view("v", source, AREA)
    rate = RequestSource(name="rate", schema=[Field(name="rate", dtype=Float64)])

    @on_demand_feature_view(
        sources=[seen, rate], schema=[Field(name="price", dtype=Float64)], mode="python"
    )
    def priced(inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
        pairs = zip(inputs["area"], inputs["rate"], strict=True)
        return {"price": [None if area is None else area * rate for area, rate in pairs]}

    stores = stock_and_ours(tmp_path, [house, seen, priced])
    found = assert_alike(
        stores, asked([1, 1], [0.5, 2], rate=[2.0, 3.0]), ["v:area", "priced:price"]
    )
    assert found["price"].to_pylist() == [2, None]


def test_names_may_hold_any_character(tmp_path: Path) -> None:
    name = "a\"b'c; {d} $e"
    columns = {
        "house_id": [1],
        "event_timestamp": hours([0]),
        name: [1.5],
        "t": [1.0],
        "k0": [2.0],
        "moment": [3.0],
    }
    fields = [Field(name=column, dtype=Float64) for column in (name, "t", "k0", "moment")]
    source = parquet(tmp_path / "it's [x]*" / "s.parquet", columns)
    _, ours = stock_and_ours(tmp_path, [house, view("v", source, *fields)])
    found = history(
        ours, asked([1], [1], **{"potluck row": ["x"]}), [f"v:{field.name}" for field in fields]
    )
    assert [found[field.name].to_pylist() for field in fields] == [[1.5], [1], [2], [3]]


def test_null_keys_and_null_times_match_nothing(tmp_path: Path) -> None:
    source = records(tmp_path / "s.parquet", [0, 0, None], [1, None, 2], [1, 2, 3])
    stores = stock_and_ours(tmp_path, [house, view("v", source, AREA)])
    rows = asked([1, None, 2, 1], [5, 5, 5, 5]).astype({"house_id": "Int64"})
    rows["event_timestamp"] = rows["event_timestamp"].where(rows.index != 3)
    stock, ours = (history(store, rows, ["v:area"]) for store in stores)
    assert ordered(ours) == ordered(stock)
    assert ours["area"].to_pylist() == [1, None, None, None]


def test_columns_of_every_type_pass_through(tmp_path: Path) -> None:
    source = records(tmp_path / "s.parquet", [0], [1], [1])
    stores = stock_and_ours(tmp_path, [house, view("v", source, AREA)])
    more: dict[str, Any] = {
        "decimal": [Decimal("1.50")],
        "bytes": [b"x"],
        "list": [[1, 2]],
        "moment": [pd.Timestamp("2020-01-01T00:00:00.123456")],
        "float32": np.array([1.1], "float32"),
        "uint8": np.array([3], "uint8"),
        "category": pd.Categorical(["a"]),
        'a "b"': [True],
    }
    assert_alike(stores, asked([1], [1], **more), ["v:area"])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            asked(["1"], [1]),
            "entity rows, column house_id: expected BIGINT, as in s.house_id, got string",
        ),
        (
            asked([1], [1]).rename(columns={"house_id": "id"}),
            r"house_id: expected BIGINT, .*, got no such column",
        ),
        (
            asked([1], [1], area=[1.0]),
            "expected entity rows without area, a feature of source s; rename it",
        ),
    ],
)
def test_entity_rows_that_can_not_be_joined_are_refused(
    tmp_path: Path, rows: pd.DataFrame, said: str
) -> None:
    source = records(tmp_path / "s.parquet", [0], [1], [1])
    _, ours = stock_and_ours(tmp_path, [house, view("v", source, AREA)])
    with pytest.raises(DataError, match=said):
        history(ours, rows, ["v:area"])


def test_a_view_without_entities(tmp_path: Path) -> None:
    columns = {"event_timestamp": hours([0, 5]), "area": [1.0, 2.0]}
    stores = stock_and_ours(
        tmp_path, [view("v", parquet(tmp_path / "s.parquet", columns), AREA, entities=[])]
    )
    assert assert_alike(stores, asked([1, 2], [1, 6]), ["v:area"])["area"].to_pylist() == [1, 2]


@pytest.mark.parametrize("seed", range(5))
def test_random_histories(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    views = []
    for number in range(3):
        count = draw.randrange(1, 400)
        keys = [(draw.randrange(12), draw.randrange(200)) for _ in range(count)]
        ids, at = zip(*dict.fromkeys(keys), strict=True)
        area = [draw.choice([None, draw.random(), -0.0, 5e-324, float("inf")]) for _ in ids]
        source = records(tmp_path / f"s{number}.parquet", at, ids, area)
        ttl = draw.choice([None, timedelta(hours=draw.randrange(1, 24))])
        views.append(view(f"v{number}", source, AREA, ttl=ttl))
    stores = stock_and_ours(tmp_path, [house, *views])
    rows = asked(
        *zip(*[(draw.randrange(14), draw.randrange(-20, 260)) for _ in range(300)], strict=True)
    )
    assert_alike(stores, rows, [f"v{number}:area" for number in range(3)], full_feature_names=True)


def test_a_data_frame_and_a_saved_file_hold_the_same(tmp_path: Path) -> None:
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    stores = several(tmp_path)
    rows = asked([1, 2, 3], [5, 5, 5], owner_id=["ann", "bob", "ann"])
    for number, store in enumerate(stores):
        job = store.get_historical_features(rows.copy(), ["areas:area", "owners:pets"])
        saved = tmp_path / f"saved{number}.parquet"
        job.persist(SavedDatasetFileStorage(path=str(saved)))
        assert ordered(pq.read_table(saved)) == ordered(job.to_arrow())
    frames = [
        store.get_historical_features(rows.copy(), ["areas:area", "owners:pets"]).to_df()
        for store in stores
    ]
    stock, ours = (frame.sort_values("house_id").reset_index(drop=True) for frame in frames)
    pd.testing.assert_frame_equal(ours, stock)


def test_entity_rows_stay_as_the_caller_gave_them(tmp_path: Path) -> None:
    rows = asked([1], [5], owner_id=["ann"]).assign(event_timestamp=["2024-01-01T05:00:00Z"])
    _, ours = several(tmp_path)
    ours.get_historical_features(rows, ["areas:area"]).to_arrow()
    assert rows["event_timestamp"].tolist() == ["2024-01-01T05:00:00Z"]


def pulled(store: FeatureStore, source: FileSource, latest: bool, **options: Any) -> pa.Table:
    arguments: dict[str, Any] = {
        "config": store.config,
        "data_source": source,
        "join_key_columns": ["house_id"],
        "feature_name_columns": ["area"],
        "timestamp_field": "event_timestamp",
        "created_timestamp_column": None,
        "start_date": START + timedelta(hours=1),
        "end_date": START + timedelta(hours=3),
    }
    offline = store._get_provider().offline_store
    pull = (
        offline.pull_latest_from_table_or_query if latest else offline.pull_all_from_table_or_query
    )
    return pull(**(arguments | options)).to_arrow()


@pytest.mark.parametrize("latest", [True, False])
@pytest.mark.parametrize("dtype", [US, pa.timestamp("us"), pa.timestamp("ms", tz="UTC")])
@pytest.mark.parametrize(
    "options", [{}, {"created_timestamp_column": "created"}, {"join_key_columns": []}]
)
def test_pulling_gives_what_stock_pulls(
    tmp_path: Path, latest: bool, dtype: pa.DataType, options: Any
) -> None:
    ids = pa.array([1, 1, 1, 2, 3, None, None], pa.int64())
    times = {
        "event_timestamp": hours([0, 1, 3, 4, 2, 1.5, 2.5], dtype),
        "created": hours(range(7), dtype),
    }
    source = parquet(
        tmp_path / "s.parquet", {"house_id": ids, "area": [float(n) for n in range(7)], **times}
    )
    stock, ours = (
        pulled(store, source, latest, **options) for store in stock_and_ours(tmp_path, [house])
    )
    assert ours.schema.equals(stock.schema)
    assert ordered(ours) == ordered(stock)


def test_pulling_without_ends_brings_every_row(tmp_path: Path) -> None:
    source = records(tmp_path / "s.parquet", [0, 1000], [1, 2], [1, 2])
    _, ours = stock_and_ours(tmp_path, [house])
    assert pulled(ours, source, latest=False, start_date=None, end_date=None)[
        "area"
    ].to_pylist() == [1, 2]


@pytest.mark.parametrize("pattern", ["", "*.parquet", "part-?.parquet"])
def test_a_folder_or_a_glob_of_files_is_one_source(tmp_path: Path, pattern: str) -> None:
    _, ours = stock_and_ours(
        tmp_path, [house, view("v", records(tmp_path / "one.parquet", [0], [1], [0]), AREA)]
    )
    folder = tmp_path / "history"
    for number, area in enumerate([1.0, 2.0]):
        records(folder / f"part-{number}.parquet", [1, 2 + number], [1, 2], [area, 10 + area])
    source = FileSource(
        name="history", path=str(folder / pattern), timestamp_field="event_timestamp"
    )
    ours.registry.apply_feature_view(rerouted(ours, source), ours.project)
    assert history(ours, asked([1, 2, 2], [5, 2.5, 5]), ["v:area"])["area"].to_pylist() == [
        2,
        11,
        12,
    ]
    assert sorted(pulled(ours, source, latest=True)["area"].to_pylist()) == [2, 12]


def rerouted(store: FeatureStore, source: FileSource) -> FeatureView:
    """The registered view over another source: Feast's own inference reads no glob."""
    known = store.get_feature_view("v")
    known.batch_source = source
    return known


def broken(tmp_path: Path, columns: Any) -> FeatureStore:
    """A store whose file was replaced after its view was registered."""
    source = records(tmp_path / "s.parquet", [0], [1], [1])
    _, ours = stock_and_ours(tmp_path, [house, view("v", source, AREA)])
    if isinstance(columns, bytes):
        (tmp_path / "s.parquet").write_bytes(columns)
    else:
        pq.write_table(pa.table(columns), tmp_path / "s.parquet")
    return ours


ID, TIME = {"house_id": [1]}, {"event_timestamp": hours([0])}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (ID | TIME, r"source s .*expected the column area, got event_timestamp, house_id"),
        (TIME | {"area": [1.0]}, r"source s .*expected the column house_id"),
        (
            ID | {"event_timestamp": ["2024-01-01"], "area": [1.0]},
            r"s .*event_timestamp: expected a timestamp, got VARCHAR",
        ),
        (b"", r"source s .*expected parquet"),
        (b"id,area\n1,2\n" * 10, r"source s .*expected parquet"),
        ({"house_id": [[1]], "area": [1.0]} | TIME, r"can't read source s .* as declared"),
    ],
)
def test_a_file_that_is_not_as_declared_is_named(tmp_path: Path, columns: Any, said: str) -> None:
    store = broken(tmp_path, columns)
    with pytest.raises(DataError, match=said) as refused:
        history(store, asked([1], [1]), ["v:area"])
    assert "potluck ingest" in str(refused.value)


def test_a_file_that_is_not_there_needs_ingest(tmp_path: Path) -> None:
    store = broken(tmp_path, ID | TIME)
    (tmp_path / "s.parquet").unlink()
    with pytest.raises(MissingStepError, match="run `potluck ingest` first"):
        history(store, asked([1], [1]), ["v:area"])


def test_a_file_without_a_row_brings_nulls(tmp_path: Path) -> None:
    nothing = pa.schema(
        [("house_id", pa.int64()), ("event_timestamp", US), ("area", pa.float64())]
    ).empty_table()
    store = broken(tmp_path, {name: nothing[name] for name in nothing.column_names})
    assert history(store, asked([1], [1]), ["v:area"])["area"].to_pylist() == [None]


def test_a_source_that_is_no_local_parquet_goes_stocks_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feast.data_format import DeltaFormat
    from feast.infra.offline_stores.duckdb import DuckDBOfflineStore

    ours = broken(tmp_path, ID | TIME)
    source = FileSource(
        name="d", path=str(tmp_path), timestamp_field="t", file_format=DeltaFormat()
    )
    calls: list[str] = []
    for name in (
        "get_historical_features",
        "pull_latest_from_table_or_query",
        "pull_all_from_table_or_query",
    ):
        monkeypatch.setattr(
            DuckDBOfflineStore, name, staticmethod(lambda name=name, **_: calls.append(name))
        )
    offline = ours._get_provider().offline_store
    for seen, rows in (
        (rerouted(ours, source), asked([1], [1])),
        (ours.get_feature_view("v"), "SELECT 1"),
    ):
        offline.get_historical_features(
            ours.config, [seen], ["v:area"], rows, ours.registry, ours.project
        )
    both: dict[str, Any] = {
        "join_key_columns": [],
        "feature_name_columns": [],
        "timestamp_field": "t",
    }
    both |= {"created_timestamp_column": None, "start_date": START, "end_date": START}
    offline.pull_latest_from_table_or_query(config=ours.config, data_source=source, **both)
    offline.pull_all_from_table_or_query(config=ours.config, data_source=source, **both)
    assert len(calls) == 4


def test_memory_is_bounded_and_what_spills_goes_with_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spill))
    count = 200_000
    columns = {
        "house_id": range(count),
        "event_timestamp": hours([0] * count),
        "area": [float(n) for n in range(count)],
    }
    source = parquet(
        tmp_path / "s.parquet", {name: pa.array(values) for name, values in columns.items()}
    )
    stock_and_ours(tmp_path, [house, view("v", source, AREA)])
    ours = open_store(tmp_path, {"type": OURS, "memory_limit": "60MB"})
    rows = pd.DataFrame({"house_id": range(count), "event_timestamp": START})
    with warnings.catch_warnings(action="ignore"):
        job = ours.get_historical_features(rows, ["v:area"])
    assert job.to_arrow()["area"].to_pylist() == columns["area"]
    del job
    gc.collect()
    assert list(spill.iterdir()) == []
