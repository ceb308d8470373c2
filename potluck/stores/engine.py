"""Feast's local batch engine, without the detour: Arrow from the offline store straight into Redis's bytes.

Named in `feature_store.yaml` as `batch_engine: {type: potluck.stores.engine.PotluckEngine}`. What it can't do itself
(transformations, aggregations, other online stores) it leaves to Feast's engine.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine, LocalComputeEngineConfig
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.utils import _get_column_names
from pydantic import StrictStr

from potluck.stores.binary_columns import one_array
from potluck.stores.feast_bytes import KEY_TYPES, encode_values, typed_entity_keys
from potluck.stores.online import BATCH_ROWS, PotluckOnlineStore
from potluck.stores.view_writer import Session

DUMMY_ENTITY_ID = "__dummy_id"
NULL = b""
"""What Feast writes for a null."""


class PotluckEngineConfig(LocalComputeEngineConfig):  # type: ignore[misc]
    """Options of Feast's local engine."""

    type: StrictStr = "potluck.stores.engine.PotluckEngine"


class PotluckEngine(LocalComputeEngine):  # type: ignore[misc]
    """Materializes the latest record of every entity."""

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any
    ) -> LocalMaterializationJob:
        if not (isinstance(self.online_store, PotluckOnlineStore) and is_plain(task)):
            return super()._materialize_one(registry, task, **kwargs)
        job_id = f"{task.feature_view.name}-{task.start_time}-{task.end_time}"
        try:
            self.write_view(registry, task)
            return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.SUCCEEDED)
        except Exception as error:  # Feast raises what a job says
            return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.ERROR, error=error)

    def write_view(self, registry: BaseRegistry, task: MaterializationTask) -> None:
        view = task.feature_view
        job = self.latest_records(registry, task)
        names = [feature.name for feature in view.features]
        keys = {column.name: column.dtype.to_value_type().name.lower() for column in view.entity_columns}
        progress = Progress(task, self.online_store.session)
        with contextlib.closing(progress), self.online_store.view_writer(self.repo_config, view, names) as writer:
            for batch, total in renamed(record_batches(job), view):
                writer.write(
                    typed_entity_keys(self.repo_config.project, keys, batch),
                    batch.column(view.batch_source.timestamp_field),
                    [encoded(batch.column(f.name), f.dtype.to_value_type().name.lower()) for f in view.features],
                )
                progress.advance(batch.num_rows, total)

    def latest_records(self, registry: BaseRegistry, task: MaterializationTask) -> Any:
        """The offline store's query of the newest row of each entity within the interval."""
        view = task.feature_view
        entities = [registry.get_entity(name, task.project) for name in view.entities]
        keys, features, time, created = _get_column_names(view, entities)
        return self.offline_store.pull_latest_from_table_or_query(
            config=self.repo_config,
            data_source=view.batch_source,
            join_key_columns=keys,
            feature_name_columns=features,
            timestamp_field=time,
            created_timestamp_column=created,
            start_date=task.start_time,
            end_date=task.end_time,
        )


class Progress:
    """Tells `potluck materialize`, or on a terminal the bar that Feast made, how far a view is."""

    def __init__(self, task: MaterializationTask, session: Session | None) -> None:
        self.task = task
        self.tell = session.progress if session else None
        self.shows_bar = session is None and task.tqdm_builder is not None and sys.stderr.isatty()
        self.bar: Any = None
        self.done = 0

    def advance(self, rows: int, total: int | None) -> None:
        self.done += rows
        if self.tell:
            self.tell(self.task.feature_view.name, self.done, total)
        if self.shows_bar:
            self.bar = self.bar if self.bar is not None else self.task.tqdm_builder(total)
            self.bar.update(rows)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def is_plain(task: MaterializationTask) -> bool:
    """Whether the view's rows lie in its source as they are to be stored."""
    view = task.feature_view
    needs_feast = (
        *(getattr(view, name, None) for name in ("feature_transformation", "aggregations", "filter", "stream_source")),
        getattr(view, "enable_validation", False),
        view.offline,
        not view.online,
        not task.only_latest,
        getattr(view, "batch_source", None) is None,
        any(getattr(feature, "vector_index", False) for feature in view.features),
    )
    keys = {column.name: column.dtype.to_value_type().name.lower() for column in view.entity_columns}
    return not any(needs_feast) and DUMMY_ENTITY_ID not in keys and set(keys.values()) <= set(KEY_TYPES)


def record_batches(job: Any) -> "Iterator[tuple[pa.RecordBatch, int | None]]":
    """A retrieval job's rows in pieces, each with the number of all rows where it is known.

    A job that can stream has `to_record_batches`, or a query of Ibis (as Feast's DuckDB has); others answer one table.
    """
    if hasattr(job, "to_record_batches"):
        yield from ((batch, None) for whole in job.to_record_batches() for batch in pieces(whole))
    elif hasattr(getattr(job, "table", None), "to_pyarrow_batches"):
        streamed = job.table.to_pyarrow_batches(chunk_size=BATCH_ROWS)
        yield from ((batch, None) for whole in begun(streamed) for batch in pieces(whole))
    else:
        table = job.to_arrow()
        yield from ((batch, table.num_rows) for batch in table.to_batches(max_chunksize=BATCH_ROWS))


def pieces(batch: "pa.RecordBatch") -> "Iterator[pa.RecordBatch]":
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


def begun(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """The same; Ibis starts its query with a warning about DuckDB's names, which is for its authors."""
    with warnings.catch_warnings(action="ignore"):
        first = next(batches, None)
    if first is not None:
        yield first
        yield from batches


def renamed(
    batches: "Iterator[tuple[pa.RecordBatch, int | None]]", view: FeatureView
) -> "Iterator[tuple[pa.RecordBatch, int | None]]":
    mapping = view.batch_source.field_mapping or {}
    for batch, total in batches:
        yield batch.rename_columns([mapping.get(name, name) for name in batch.schema.names]), total


def encoded(column: "pa.Array", dtype: str) -> "pa.BinaryArray":
    """Feast's bytes of a feature; NaN is null, as `feast materialize` has it."""
    column = one_array(column)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return encode_values(column, dtype, NULL)
