"""The house-price definitions as Feast's registry holds them, and their features in time."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    FileSource,
    RepoConfig,
    RequestSource,
)
from feast.on_demand_feature_view import OnDemandFeatureView

from potluck.stores.definitions.feature_contract import Definition
from potluck.stores.definitions.registry import read_definitions
from potluck.stores.ingest.ingest_file import load_ingest
from potluck.stores.ingest.sources import write_sources

REPO = Path(__file__).resolve().parents[2] / "feature_repo"
Columns = dict[str, list[Any]]
HOUSES = 40
DTYPES = {"Int64": pa.int64(), "Float64": pa.float64(), "String": pa.string()}


@dataclass(frozen=True)
class Applied:
    """The repo's definitions over synthetic houses, applied to a registry of this test."""

    store: FeatureStore
    module: Any
    tables: dict[str, pa.Table]

    def history(self, service: str, rows: pa.Table) -> list[dict[str, Any]]:
        """Feast's point-in-time join, by Id; a request field's pass-through comes last."""
        frame = rows.to_pandas(types_mapper=pd.ArrowDtype)
        frame["event_timestamp"] = rows["event_timestamp"].to_pandas()
        features = self.store.get_feature_service(service)
        joined = self.store.get_historical_features(entity_df=frame, features=features).to_arrow()
        columns = {
            name: joined.column(place).to_pylist() for place, name in enumerate(joined.column_names)
        }
        found = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        return sorted(found, key=lambda row: int(row["Id"]))


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applied]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POTLUCK_HOME", str(home))
        patch.chdir(home)
        sources = load_ingest(REPO)([], HOUSES, 3)
        write_sources(home / "data" / "house_prices", sources)
        module = load_definitions()
        store = FeatureStore(config=plain_config(home))
        store.apply(definitions_of(module))
        yield Applied(store, module, {k: v for k, v in sources.items() if isinstance(v, pa.Table)})


@pytest.fixture(scope="module")
def contracts(applied: Applied) -> dict[str, Definition]:
    return read_definitions(applied.store)


def load_definitions() -> Any:
    spec = importlib.util.spec_from_file_location("house_definitions", REPO / "definitions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain_config(home: Path) -> RepoConfig:
    online = {"type": "sqlite", "path": str(home / "online.db")}
    places = {
        "registry": str(home / "registry.db"),
        "offline_store": {"type": "duckdb"},
        "online_store": online,
    }
    return RepoConfig(
        project="house_prices", provider="local", entity_key_serialization_version=3, **places
    )


def definitions_of(module: Any) -> list[Any]:
    kinds = (Entity, FeatureService, FeatureView, FileSource, OnDemandFeatureView, RequestSource)
    return [value for value in vars(module).values() if isinstance(value, kinds)]


def fields_of(applied: Applied) -> dict[str, str]:
    """Field -> dtype of the record and the seller's request."""
    fields = [
        *applied.store.get_feature_view("assessor_record").features,
        *applied.module.seller.schema,
    ]
    assert len({field.name for field in fields}) == len(fields)
    return {field.name: str(field.dtype) for field in fields}


def inputs_of(view: Any) -> list[str]:
    """Names of what an on-demand view takes."""
    request = [
        field.name for source in view.source_request_sources.values() for field in source.schema
    ]
    looked_up = [
        field.name for p in view.source_feature_view_projections.values() for field in p.features
    ]
    return request + looked_up


def called(applied: Applied, name: str, columns: Columns) -> Columns:
    """An on-demand function over some columns; inputs that are not given are missing."""
    view, rows = applied.store.get_on_demand_feature_view(name), len(next(iter(columns.values())))
    missing: Columns = {name: [None] * rows for name in inputs_of(view)}
    outputs = dict(view.feature_transformation.udf(missing | columns))
    assert set(outputs) == {field.name for field in view.features}
    assert all(len(values) == rows for values in outputs.values())
    return outputs


def test_every_column_of_kaggle_is_on_record_or_asked_for(applied: Applied) -> None:
    columns = {name for table in applied.tables.values() for name in table.column_names}
    assert set(fields_of(applied)) == columns - {"Id", "event_timestamp", "SalePrice"}
    assert len(fields_of(applied)) == 79


def test_declared_types_are_those_of_the_sources(applied: Applied) -> None:
    record = applied.store.get_feature_view("assessor_record").features
    request = applied.module.seller.schema
    for source, fields in (("assessor", record), ("listings", request), ("sales", request)):
        for field in fields:
            assert (
                applied.tables[source].schema.field(field.name).type == DTYPES[str(field.dtype)]
            ), field.name


def test_the_label_is_never_a_feature_or_a_request_field(contracts: dict[str, Definition]) -> None:
    for definition in contracts.values():
        names = {field.name for field in definition.contract.fields}
        names |= {column.name for column in definition.contract.columns}
        assert definition.contract.label == "SalePrice"
        assert "SalePrice" not in names


def test_the_three_services_say_how_they_are_answered(contracts: dict[str, Definition]) -> None:
    realtime = contracts["house_price_realtime"].contract
    hybrid = contracts["house_price_hybrid"].contract
    assert (realtime.served_by, hybrid.served_by) == ("realtime", "hybrid")
    assert {(c.objective, c.transform, c.label_source) for c in (realtime, hybrid)} == {
        ("regression", "log", "sales")
    }
    assert hybrid.population == "listings"
    assert [publication.service for publication in hybrid.publications] == ["house_price_batch"]
    assert realtime.publications == ()


def test_tags_of_request_fields_survive_the_registry(contracts: dict[str, Definition]) -> None:
    fields = {field.name: field for field in contracts["house_price_hybrid"].contract.request}
    assert {name for name, field in fields.items() if field.required} == {
        "LotArea",
        "Neighborhood",
        "YearBuilt",
    }
    assert fields["YrSold"].default_at(datetime(2031, 4, 1, tzinfo=UTC)) == 2031
    assert fields["MoSold"].default_at(datetime(2031, 4, 1, tzinfo=UTC)) == 4
    assert fields["Alley"].default == fields["Fence"].default == "None"


def test_dwelling_codes_and_texts_are_categories_and_other_numbers_are_not(
    contracts: dict[str, Definition],
) -> None:
    for definition in contracts.values():
        columns = {column.name: column for column in definition.contract.columns}
        numbers = {
            name
            for name, column in columns.items()
            if column.categorical and column.dtype != "string"
        }
        assert numbers == {"MSSubClass"}
        assert all(column.categorical for column in columns.values() if column.dtype == "string")


def test_every_request_field_becomes_a_column_of_both_models(
    contracts: dict[str, Definition],
) -> None:
    for definition in contracts.values():
        columns = {column.name: column.dtype for column in definition.contract.columns}
        for field in definition.contract.request:
            assert columns[field.name] == field.dtype


def test_a_default_is_a_category_that_the_data_holds(applied: Applied) -> None:
    listings = load_ingest(REPO)([], 2000, 1)["listings"]
    assert isinstance(listings, pa.Table)
    for field in applied.module.seller.schema:
        default = (field.tags or {}).get("default", "request_time")
        assert default.startswith("request_time") or default in listings[field.name].to_pylist()


def test_the_listing_passes_through_as_it_is(applied: Applied) -> None:
    texts: Columns = {
        "Neighborhood": ["NAmes", None],
        "LotFrontage": [61.5, None],
        "MSSubClass": [20, None],
    }
    outputs = called(applied, "listing", texts)
    assert {name: outputs[name] for name in texts} == texts


def test_ages_count_from_the_date_of_valuation(applied: Applied) -> None:
    listed: Columns = {"YrSold": [2008, 2006, None, 2008], "YearBuilt": [1931, 2007, 1931, None]}
    assert called(applied, "listing", listed)["house_age"] == [77, -1, None, None]
    known: Columns = {
        "YrSold": [2008, None, 2008],
        "YearRemodAdd": [1987, 1987, None],
        "GarageYrBlt": [None, 1944, 1944],
    }
    outputs = called(applied, "house_on_listing", known)
    assert outputs["years_since_remodel"] == [21, None, None]
    assert outputs["garage_age"] == [None, None, 64]


def test_areas_and_baths_add_up_and_are_missing_with_a_part(applied: Applied) -> None:
    areas: Columns = {
        "TotalBsmtSF": [806, 0, None],
        "1stFlrSF": [811, 900, 811],
        "2ndFlrSF": [612, 0, 612],
    }
    baths: Columns = {
        "FullBath": [1, 2, 1],
        "HalfBath": [2, 0, 2],
        "BsmtFullBath": [1, 0, None],
        "BsmtHalfBath": [1, 0, 1],
    }
    shares: Columns = {
        "OverallQual": [6, 10, None],
        "GrLivArea": [1436, 900, 1436],
        "LotArea": [7180, 0, None],
    }
    outputs = called(applied, "house_on_listing", {**areas, **baths, **shares})
    assert outputs["total_area"] == [2229, 900, None]
    assert outputs["total_baths"] == [3.5, 2.0, None]
    assert outputs["quality_area"] == [8616.0, 9000.0, None]
    assert outputs["living_area_share"] == [0.2, None, None]


def test_functions_take_whatever_a_request_may_hold(applied: Applied) -> None:
    for view in applied.store.list_on_demand_feature_views():
        numbers = {name for name in inputs_of(view) if fields_of(applied)[name] != "String"}
        outputs = called(applied, view.name, {name: [0, -1, 2**53, -(2**53)] for name in numbers})
        declared = {field.name: DTYPES[str(field.dtype)] for field in view.features}
        for name, values in outputs.items():
            assert len(pa.array(values, declared[name])) == 4


def test_functions_stand_alone_without_feast(
    contracts: dict[str, Definition], applied: Applied
) -> None:
    namespace: dict[str, Any] = {}
    exec(contracts["house_price_hybrid"].functions_source, namespace)
    for view in applied.store.list_on_demand_feature_views():
        inputs = {
            name: ["x" if fields_of(applied)[name] == "String" else 7] for name in inputs_of(view)
        }
        assert namespace[view.name](inputs) == called(applied, view.name, inputs)


def test_history_gives_each_sale_its_record_and_its_features(applied: Applied) -> None:
    sales, records = applied.tables["sales"], applied.tables["assessor"].to_pylist()
    found = applied.history("house_price_hybrid", sales.drop_columns(["SalePrice"]))
    assert len(found) == HOUSES
    for row, record, sale in zip(found, records, sales.to_pylist(), strict=True):
        known = {name: value for name, value in record.items() if name != "event_timestamp"}
        assert {name: row[name] for name in known} == known
        assert row["LotArea"] == sale["LotArea"]
        assert row["house_age"] == sale["YrSold"] - sale["YearBuilt"]
        assert row["years_since_remodel"] == sale["YrSold"] - record["YearRemodAdd"]
        assert row["living_area_share"] == record["GrLivArea"] / sale["LotArea"]
        assert "SalePrice" not in row


def test_a_record_of_a_later_month_is_not_seen(applied: Applied) -> None:
    sales = applied.tables["sales"].drop_columns(["SalePrice"])
    early = pa.array([datetime(2005, 12, 15, tzinfo=UTC)] * HOUSES, sales["event_timestamp"].type)
    found = applied.history("house_price_hybrid", sales.set_column(1, "event_timestamp", early))
    assert len(found) == HOUSES
    assert {(row["OverallQual"], row["quality_area"]) for row in found} == {(None, None)}
    assert [row["house_age"] for row in found] == [
        s["YrSold"] - s["YearBuilt"] for s in sales.to_pylist()
    ]


def test_the_realtime_service_needs_no_record_and_the_batch_service_no_request(
    applied: Applied,
) -> None:
    sales = applied.tables["sales"].drop_columns(["SalePrice"])
    found = applied.history("house_price_realtime", sales)
    assert [row["house_age"] for row in found] == [
        s["YrSold"] - s["YearBuilt"] for s in sales.to_pylist()
    ]
    assert not {"OverallQual", "GrLivArea"} & set(found[0])
    looked_up = applied.history("house_price_batch", sales.select(["Id", "event_timestamp"]))
    assert set(looked_up[0]) == {"Id", "event_timestamp", "prediction", "model_version", "run_id"}
