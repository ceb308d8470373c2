"""Feast's local batch engine, without the detour: Arrow from the offline store straight into
Redis's bytes.

Named in `feature_store.yaml` as `batch_engine: {type: potluck.stores.engine.PotluckEngine}`. What
it can't do itself (transformations, aggregations, other online stores) it leaves to Feast's engine.
"""

import contextlib
import sys
from collections.abc import Iterator
from copy import copy
from typing import Any

import pyarrow as pa
from feast import FeatureView, PushSource
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine, LocalComputeEngineConfig
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.utils import _get_column_names
from pydantic import StrictStr

from potluck.redis.feast_bytes import KEY_TYPES, typed_entity_keys
from potluck.stores.feast_plugins.job_rows import record_batches
from potluck.stores.feast_plugins.online_store import PotluckOnlineStore
from potluck.stores.feast_plugins.session import KEYLESS, Session
from potluck.stores.feast_plugins.view_columns import ViewColumns, join_key_types, name_keyless
from potluck.stores.parquet.connection import told_in_words
from potluck.stores.parquet.offline_reads import parquet_source

DUMMY_ENTITY_ID = "__dummy_id"


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


def as_fed(view: FeatureView, session: Session | None) -> FeatureView:
    """The view with the features that a session wants written: a champion may read others than it
    declares."""
    return view if session is None else session.fed.get(view.name, view)


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
    # Pushes leave the batch source as it is; other streams are Feast's to read.
    streams = stream is not None and not isinstance(stream, PushSource)
    needs_feast = (
        getattr(view, "feature_transformation", None),
        getattr(view, "aggregations", None),
        getattr(view, "filter", None),
        streams,
        getattr(view, "enable_validation", False),
        view.offline,
        not view.online,
        getattr(view, "batch_source", None) is None,
        any(getattr(feature, "vector_index", False) for feature in view.features),
    )
    keys = join_key_types(view)
    return (
        not any(needs_feast)
        and DUMMY_ENTITY_ID not in keys
        and set(keys.values()) <= set(KEY_TYPES)
    )
