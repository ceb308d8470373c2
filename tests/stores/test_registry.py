"""A registry that holds nothing, or that lost what a service reads, is told in full sentences."""

from collections.abc import Callable
from pathlib import Path

import pytest
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Float64
from feast.value_type import ValueType
from tiny_repo import apply_all, write_repo

from potluck.contract.errors import DefinitionError, MissingStepError
from potluck.stores.definitions.registry import definition_of, read_definitions
from potluck.stores.parquet.offline_reads import data_source

MODEL = {"label": "readings.load", "objective": "regression"}


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A store with an empty registry."""
    return FeatureStore(
        config=RepoConfig(
            project="tiny",
            provider="local",
            registry={"path": str(tmp_path / "registry.db"), "cache_ttl_seconds": 0},
            online_store={"type": "sqlite", "path": str(tmp_path / "online.db")},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )


@pytest.fixture
def applied(store: FeatureStore, tmp_path: Path) -> FeatureStore:
    """The same store with one entity, view and service."""
    source = FileSource(
        name="readings", path=str(tmp_path / "r.parquet"), timestamp_field="event_timestamp"
    )
    pump = Entity(name="pump", join_keys=["pump_id"], value_type=ValueType.INT64)
    record = FeatureView(
        name="record",
        entities=[pump],
        schema=[Field(name="year", dtype=Float64)],
        source=source,
    )
    service = FeatureService(name="wear", features=[record], tags=MODEL)
    registry = store.registry
    registry.apply_data_source(source, "tiny")
    registry.apply_entity(pump, "tiny")
    record.entity_columns = [Field(name="pump_id", dtype=Float64)]
    registry.apply_feature_view(record, "tiny")
    registry.apply_feature_service(service, "tiny")
    return store


@pytest.mark.parametrize("read", [read_definitions, lambda store: definition_of(store, "wear")])
def test_where_nothing_was_applied_the_definitions_ask_for_apply(
    store: FeatureStore, read: Callable[[FeatureStore], object]
) -> None:
    with pytest.raises(MissingStepError, match="no feature service of project tiny; run `potluck"):
        read(store)


def test_where_no_source_is_registered_a_missing_one_is_told_so(store: FeatureStore) -> None:
    with pytest.raises(DefinitionError, match="source readings; the registry holds no source; run"):
        data_source(store, "readings")


def test_a_view_that_was_deleted_is_named_with_the_service_that_reads_it(
    applied: FeatureStore,
) -> None:
    assert definition_of(applied, "wear").contract.keys[0].name == "pump_id"
    applied.registry.delete_feature_view("record", "tiny")
    with pytest.raises(
        MissingStepError, match=r"service wear reads the view record, which .* apply"
    ):
        read_definitions(applied)


def test_an_entity_that_was_deleted_is_named_by_its_join_key(applied: FeatureStore) -> None:
    applied.registry.delete_entity("pump", "tiny")
    with pytest.raises(MissingStepError, match="no entity with the join key pump_id; run"):
        read_definitions(applied)


def test_apply_tells_a_repo_without_services_what_to_define(tmp_path: Path) -> None:
    """It once told whoever ran `potluck apply` to run it first."""
    services = [("t_hybrid = ", "#"), ("t_realtime = ", "#")]
    nothing = write_repo(tmp_path / "nothing", *services, ("t_batch = ", "#"))
    without_model = write_repo(tmp_path / "without_model", *services)
    ended = apply_all([nothing, without_model])
    assert [each.returncode for each in ended] == [1, 1]
    assert "definitions.py defines no feature service; expected at least one" in ended[0].stderr
    assert "expected a service with a model, and none is defined" in ended[1].stderr
