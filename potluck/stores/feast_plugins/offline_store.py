"""Feast's DuckDB offline store with DuckDB's own point-in-time join (ASOF), which neither
multiplies nor ranks rows.

Named in `feature_store.yaml` as `offline_store: {type:
potluck.stores.duckdb_offline.PotluckOfflineStore}`. Values are stock's. What differs: rows come in
the entity rows' order, a folder or glob of parquet files is a source, and of an entity's records
that nothing tells apart the one further down in the file counts, where stock takes any. Sources
other than local parquet, and entity rows other than a data frame, go stock's way.
"""

import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
from feast import FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.duckdb import (
    DuckDBOfflineStore,
    DuckDBOfflineStoreConfig,
    _write_data_source,
)
from feast.infra.offline_stores.ibis import (
    IbisRetrievalJob,
    _get_entity_df_event_timestamp_range,
    _to_utc,
)
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df
from feast.on_demand_feature_view import OnDemandFeatureView
from pydantic import StrictStr

from potluck.stores.parquet.asof import ENTITIES, ROW, join_query, lookup
from potluck.stores.parquet.connection import told_in_words
from potluck.stores.parquet.offline_reads import parquet_source
from potluck.stores.parquet.source import ParquetSource
from potluck.stores.parquet.sql import moment, quoted


class PotluckOfflineStoreConfig(DuckDBOfflineStoreConfig):  # type: ignore[misc]
    """Stock options, and how much memory DuckDB may take."""

    type: StrictStr = "potluck.stores.duckdb_offline.PotluckOfflineStore"
    memory_limit: StrictStr | None = None
    """As DuckDB writes it, say 4GB; more spills to the disk. By default four fifths of the
    machine's."""


class PotluckOfflineStore(DuckDBOfflineStore):  # type: ignore[misc]
    """`DuckDBOfflineStore` that joins by ASOF and reads folders of parquet files."""

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str,
        registry: Any,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        lookups = [
            lookup(view, feature_refs, full_names=full_feature_names) for view in feature_views
        ]
        known = [found for found in lookups if found]
        cut = filter_by_created_timestamp and any(found.source.created for found in known)
        if cut or len(known) < len(lookups) or not isinstance(entity_df, pd.DataFrame):
            return DuckDBOfflineStore.get_historical_features(
                config=config,
                feature_views=feature_views,
                feature_refs=feature_refs,
                entity_df=entity_df,
                registry=registry,
                project=project,
                full_feature_names=full_feature_names,
                filter_by_created_timestamp=filter_by_created_timestamp,
            )
        time = infer_event_timestamp_from_entity_df(entity_df.dtypes.to_dict())
        span = _get_entity_df_event_timestamp_range(entity_df, time)
        connection = connect(config)
        rows = ibis.memtable(_to_utc(entity_df.copy(deep=False), time)).to_pyarrow()
        for found in known:
            found.check(connection.con, rows.schema)
        place = number_rows(connection, rows)
        with told_in_words(*(found.source for found in known)):
            table = connection.sql(join_query(place, time, known))
        on_demand = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        for view in on_demand:
            table = (
                view.transform_ibis(table, full_feature_names)
                if view.mode == "substrait"
                else table
            )
        metadata = RetrievalMetadata(feature_refs, [name for name in place if name != time], *span)
        views = [view for view in on_demand if view.mode != "substrait"]
        reads = [found.source for found in known]
        return retrieval(config, table, views, metadata, full_names=full_feature_names, reads=reads)

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        source = parquet_source(data_source)
        if source is None:
            return DuckDBOfflineStore.pull_latest_from_table_or_query(
                config=config,
                data_source=data_source,
                join_key_columns=join_key_columns,
                feature_name_columns=feature_name_columns,
                timestamp_field=timestamp_field,
                created_timestamp_column=created_timestamp_column,
                start_date=start_date,
                end_date=end_date,
            )
        source = replace(
            source, timestamp=timestamp_field, created=created_timestamp_column or None
        )
        names = dict.fromkeys([*join_key_columns, *feature_name_columns, *source.times])
        query = source.latest(
            join_key_columns, {name: name for name in names}, between(source, start_date, end_date)
        )
        return pull(config, source, names, query)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        source = parquet_source(data_source)
        if source is None:
            return DuckDBOfflineStore.pull_all_from_table_or_query(
                config=config,
                data_source=data_source,
                join_key_columns=join_key_columns,
                feature_name_columns=feature_name_columns,
                timestamp_field=timestamp_field,
                created_timestamp_column=created_timestamp_column,
                start_date=start_date,
                end_date=end_date,
            )
        source = replace(
            source, timestamp=timestamp_field, created=created_timestamp_column or None
        )
        names = dict.fromkeys([*join_key_columns, *feature_name_columns, *source.times])
        chosen = ", ".join(map(quoted, names))
        query = f"SELECT {chosen} FROM {source.scan} WHERE {between(source, start_date, end_date)}"
        return pull(config, source, names, query)


class DuckDBRetrievalJob(IbisRetrievalJob):  # type: ignore[misc]
    """Ibis's job, with DuckDB's errors in Potluck's words."""

    reads: Sequence[ParquetSource] = ()

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        with told_in_words(*self.reads):
            return super()._to_arrow_internal(timeout)


def connect(config: RepoConfig) -> Any:
    """A database of its own; DuckDB makes the folder to which it spills, and takes it away with the
    connection."""
    folder = Path(tempfile.gettempdir()) / f"potluck-duckdb-{uuid.uuid4().hex}"
    options = {"temp_directory": str(folder)}
    if config.offline_store.memory_limit:
        options["memory_limit"] = config.offline_store.memory_limit
    with told_in_words():
        connection = ibis.duckdb.connect(**options)
    # DuckDB takes a data frame for a table of one row, and would join it in a loop.
    connection.raw_sql("SET asof_loop_join_threshold = 0")
    return connection


def number_rows(connection: Any, rows: pa.Table) -> dict[str, str]:
    """Make the entity rows a numbered table; answers its columns' aliases by name."""
    place = {name: f"e{number}" for number, name in enumerate(rows.column_names)}
    numbers = pa.array(range(rows.num_rows), pa.int64())
    connection.con.register(
        ENTITIES, rows.rename_columns(list(place.values())).append_column(ROW, numbers)
    )
    return place


def pull(
    config: RepoConfig, source: ParquetSource, names: Mapping[str, Any], query: str
) -> RetrievalJob:
    connection = connect(config)
    source.check(connection.con, names)
    with told_in_words(source):
        return retrieval(config, connection.sql(query), reads=[source])


def retrieval(
    config: RepoConfig,
    table: Any,
    on_demand: Sequence[OnDemandFeatureView] = (),
    metadata: RetrievalMetadata | None = None,
    *,
    full_names: bool = False,
    reads: Sequence[ParquetSource],
) -> RetrievalJob:
    store = config.offline_store
    job = DuckDBRetrievalJob(
        table,
        list(on_demand),
        full_names,
        metadata,
        data_source_writer=_write_data_source,
        staging_location=store.staging_location,
        staging_location_endpoint_override=store.staging_location_endpoint_override,
        repo_path=str(config.repo_path),
    )
    job.reads = reads
    return job


def between(source: ParquetSource, start: datetime | None, end: datetime | None) -> str:
    """A condition on the timestamp; both ends count."""
    ends = [
        f"{source.time} {sign} {moment(at.astimezone(UTC))}"
        for sign, at in ((">=", start), ("<=", end))
        if at
    ]
    return " AND ".join(ends) or "true"
