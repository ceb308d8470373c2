"""Feast's local batch engine, without the detour: Arrow from the offline store straight into
Redis's bytes.

Named in `feature_store.yaml` as `batch_engine: {type: potluck.stores.engine.PotluckEngine}`. What
it can't do itself (transformations, aggregations, other online stores) it leaves to Feast's engine.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView, Field, PushSource
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine, LocalComputeEngineConfig
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.utils import _get_column_names
from pydantic import StrictStr

from potluck.redis.binary_columns import one_array
from potluck.redis.feast_bytes import KEY_TYPES, encode_values, typed_entity_keys
from potluck.stores.feast_plugins.feast_values import encode_by_feast
from potluck.stores.feast_plugins.online_store import BATCH_ROWS, PotluckOnlineStore
from potluck.stores.feast_plugins.session import KEYLESS, Session, WrittenRows
from potluck.stores.parquet.census import RowCounter
from potluck.stores.parquet.connection import told_in_words
from potluck.stores.parquet.offline_reads import file_columns, parquet_source

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
        plain = is_plain(task.feature_view) and task.only_latest
        if not (isinstance(self.online_store, PotluckOnlineStore) and plain):
            return super()._materialize_one(registry, task, **kwargs)
        job_id = f"{task.feature_view.name}-{task.start_time}-{task.end_time}"
        try:
            self.write_view(registry, task)
            return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.SUCCEEDED)
        except Exception as error:  # Feast raises what a job says
            return LocalMaterializationJob(
                job_id=job_id, status=MaterializationJobStatus.ERROR, error=error
            )

    def write_view(self, registry: BaseRegistry, task: MaterializationTask) -> None:
        session = self.online_store.session
        view = as_fed(task.feature_view, session)
        columns = ViewColumns.of(view)
        job = self.latest_records(registry, task, view)
        names = [feature.name for feature in view.features]
        writer = self.online_store.view_writer(self.repo_config, view, names, pushing=False)
        progress = Progress(task, session)
        reads = filter(None, [parquet_source(view.batch_source)])
        with told_in_words(*reads), contextlib.closing(progress), writer:
            for batch, total in record_batches(job):
                keyed = columns.with_keys(batch)
                writer.leave_out(KEYLESS, batch.num_rows - keyed.num_rows)
                keys = typed_entity_keys(
                    self.repo_config.project, columns.key_types, columns.keys_of(keyed)
                )
                writer.write(keys, keyed.column(columns.time), columns.values_of(keyed))
                progress.advance(batch.num_rows, total)
            name_keyless(view, columns, writer.told)
        if session is not None:
            session.straight.add(view.name)

    def entity_keys(
        self, registry: BaseRegistry, task: MaterializationTask
    ) -> "Iterator[pa.BinaryArray]":
        """Redis keys of the entities that the task would write, read without their features."""
        view = copy(task.feature_view)
        view.features = []
        columns = ViewColumns.of(view)
        with told_in_words(*filter(None, [parquet_source(view.batch_source)])):
            for batch, _ in record_batches(self.latest_records(registry, task, view)):
                keys = columns.keys_of(columns.with_keys(batch))
                yield typed_entity_keys(self.repo_config.project, columns.key_types, keys)

    def latest_records(
        self, registry: BaseRegistry, task: MaterializationTask, view: FeatureView
    ) -> Any:
        """The offline store's query of the newest row of each entity within the interval."""
        entities = [registry.get_entity(name, task.project) for name in view.entities]
        keys, features, time, created = _get_column_names(view, entities)
        return self.offline_store.pull_latest_from_table_or_query(
            config=self.repo_config,
            data_source=view.batch_source,
            join_key_columns=keys,
            feature_name_columns=list(dict.fromkeys(features)),
            timestamp_field=time,
            created_timestamp_column=created,
            start_date=task.start_time,
            end_date=task.end_time,
        )


@dataclass(frozen=True)
class ViewColumns:
    """Where a view's keys, time and features stand in its source's records, by their names in the
    file."""

    key_types: dict[str, str]
    """Join key -> Feast's value type in lower case."""
    keys: list[str]
    time: str
    features: list[tuple[str, str]]
    """Column and value type of each feature."""

    @classmethod
    def of(cls, view: FeatureView) -> "ViewColumns":
        column, time = file_columns(view.batch_source), view.batch_source.timestamp_field
        key_types = {key.name: type_name(key) for key in view.entity_columns}
        features = [
            (column.get(feature.name, feature.name), type_name(feature))
            for feature in view.features
        ]
        return cls(
            key_types, [column.get(key, key) for key in key_types], column.get(time, time), features
        )

    def with_keys(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        """The rows that have all their join keys."""
        columns = [batch.column(name) for name in self.keys]
        if not any(column.null_count for column in columns):
            return batch
        return batch.filter(reduce(pc.and_, [column.is_valid() for column in columns]))

    def keys_of(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        return batch.select(self.keys).rename_columns(list(self.key_types))

    def values_of(self, batch: "pa.RecordBatch") -> "list[pa.BinaryArray]":
        return [encoded(batch.column(name), dtype) for name, dtype in self.features]


def name_keyless(view: FeatureView, columns: ViewColumns, told: WrittenRows) -> None:
    """Count the source's rows without a key, and say where they are: only the latest of them
    came."""
    source = parquet_source(view.batch_source)
    if source is not None and told.left_out[KEYLESS]:
        found = RowCounter(
            source, dict(zip(columns.key_types, columns.keys, strict=True))
        ).keyless()
        told.left_out[KEYLESS], told.examples[KEYLESS] = found.count, list(found.examples)


def as_fed(view: FeatureView, session: Session | None) -> FeatureView:
    """The view with the features that a session wants written: a champion may read others than it
    declares."""
    return view if session is None else session.fed.get(view.name, view)


def type_name(field: Field) -> str:
    return str(field.dtype.to_value_type().name.lower())


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


def is_plain(view: FeatureView) -> bool:
    """Whether the view's rows lie in its source as they are to be stored."""
    stream = getattr(view, "stream_source", None)
    needs_feast = (
        *(
            getattr(view, name, None)
            for name in ("feature_transformation", "aggregations", "filter")
        ),
        stream is not None
        and not isinstance(stream, PushSource),  # pushes leave the batch source as it is
        getattr(view, "enable_validation", False),
        view.offline,
        not view.online,
        getattr(view, "batch_source", None) is None,
        any(getattr(feature, "vector_index", False) for feature in view.features),
    )
    keys = {key.name: type_name(key) for key in view.entity_columns}
    return (
        not any(needs_feast)
        and DUMMY_ENTITY_ID not in keys
        and set(keys.values()) <= set(KEY_TYPES)
    )


def record_batches(job: Any) -> "Iterator[tuple[pa.RecordBatch, int | None]]":
    """A retrieval job's rows in pieces, each with the number of all rows where it is known.

    A job that can stream has `to_record_batches`, or a query of Ibis (as Feast's DuckDB has);
    others answer one table.
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
    """The same; Ibis starts its query with a warning about DuckDB's names, which is for its
    authors."""
    with warnings.catch_warnings(action="ignore"):
        first = next(batches, None)
    if first is not None:
        yield first
        yield from batches


def encoded(column: "pa.Array", dtype: str) -> "pa.BinaryArray":
    """Feast's bytes of a feature; NaN is null, as `feast materialize` has it."""
    column = one_array(column)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return encode_values(column, dtype, NULL, otherwise=encode_by_feast)
