"""Which Feast objects and options a repo may hold: what is not in here works, or has no effect on a
prediction.

A rule names an option, says when an object uses it, and what to write instead. `potluck apply`
holds every object against its table before Feast registers anything; the views and services of a
model are held against them again when they are read back, as plain `feast apply` may have
registered them. What is done with the tables: `potluck.stores.definitions.object_checks`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from feast import FileSource
from feast.value_type import ValueType

from potluck.stores.definitions.option_use import (
    has,
    has_mode,
    has_no_entity,
    has_odd_ttl,
    has_own_entities,
    is_disabled,
    is_not_parquet,
    is_python,
    is_relative,
    is_remote,
    is_versioned,
)

KEY_TYPES = (ValueType.INT64, ValueType.INT32, ValueType.STRING)


@dataclass(frozen=True)
class Rule:
    """One option that Potluck does not support."""

    option: str
    """What an object `has` that uses it."""
    used: Callable[[Any], bool]
    """Whether an object uses it."""
    instead: str
    """What to write in its place."""


VERSIONED = Rule(
    "a pinned version", is_versioned, "a model's version is MLflow's; leave version out"
)
DISABLED = Rule("enabled=False", is_disabled, "take the view out of the definitions")

ENTITY = (
    Rule(
        "a value_type other than INT64, INT32 and STRING",
        lambda entity: entity.value_type not in KEY_TYPES,
        "declare value_type=ValueType.INT64, INT32 or STRING",
    ),
)

FIELD = (
    Rule(
        "a vector index",
        has("vector_index", "vector_length", "vector_search_metric"),
        "a model's column is one number, text or truth value",
    ),
)

FILE_SOURCE = (
    Rule("a connection_ref", has("connection_ref"), "the file lies on a mounted disk"),
    Rule("a remote path", is_remote, "mount the disk, or have ingest.py copy the file"),
    Rule("an s3_endpoint_override", has("s3_endpoint_override"), "the file lies on a mounted disk"),
    Rule(
        "a relative path, looked for elsewhere by each command",
        is_relative,
        "write path=source_path(project, name)",
    ),
    Rule("a file_format other than parquet", is_not_parquet, "have ingest.py write parquet"),
    Rule(
        "no timestamp_field",
        lambda source: not source.timestamp_field,
        'write timestamp_field="event_timestamp", or whatever column dates a row',
    ),
)

PUSH_SOURCE = (
    Rule(
        "no FileSource as batch_source",
        lambda source: not isinstance(source.batch_source, FileSource),
        "give it a FileSource, which training reads and materialize fills the store from",
    ),
)

REQUEST_SOURCE = (
    Rule(
        "a timestamp_field",
        has("timestamp_field"),
        "a request's time is the time of the call; a date that it brings is a field of its schema",
    ),
    Rule("an empty schema", lambda source: not source.schema, "declare what a request brings"),
)

VIEW = (
    Rule(
        "a transformation",
        has("feature_transformation", "udf"),
        "compute the columns in ingest.py, or in an on-demand view",
    ),
    Rule("aggregations", has("aggregations"), "compute them in ingest.py"),
    Rule("a view as source", has("source_views"), "compute the table in ingest.py"),
    Rule(
        "no source",
        lambda view: view.batch_source is None,
        "give it a FileSource, which training reads and materialize fills the store from",
    ),
    Rule("a batch_engine of its own", has("batch_engine"), "name one in feature_store.yaml"),
    Rule(
        "entities=[], and so no key",
        has_no_entity,
        "name the entity whose records it holds; what is the same for all belongs to the request",
    ),
    Rule("no schema", lambda view: not view.features, "declare its fields with their types"),
    Rule("a ttl that is not in whole seconds, 0 or more", has_odd_ttl, "ttl=timedelta(seconds=…)"),
    Rule(
        "offline=True, by which Feast writes back what it read",
        has("offline"),
        "write offline=False; the source is the offline store",
    ),
    Rule(
        "enable_validation=True",
        has("enable_validation"),
        "leave it out: apply, materialize and train compare types with the declared ones",
    ),
    VERSIONED,
    DISABLED,
)

DEFINED_VIEW = (
    Rule("a mode", has_mode, "compute the columns in ingest.py, or in an on-demand view"),
)
"""Before it is registered: the registry gives a batch view back as a view with a mode."""

SERVED_VIEW = (
    Rule(
        "online=False, and a service reads it",
        lambda view: not view.online,
        "write online=True, or take the view out of the service",
    ),
)

ON_DEMAND_VIEW = (
    Rule("aggregations", has("aggregations"), "compute them in ingest.py, or in the function"),
    Rule(
        "a function of another form",
        lambda view: not is_python(view) or view.singleton,
        'it needs mode="python" over lists, without singleton',
    ),
    Rule("an input_schema", lambda view: view.input_schema is not None, "write a RequestSource"),
    Rule(
        "write_to_online_store=True",
        has("write_to_online_store"),
        "leave it out: it is computed at each request",
    ),
    Rule(
        "entities of its own",
        has_own_entities,
        "leave them out: the views among its sources have them",
    ),
    Rule("no schema", lambda view: not view.features, "declare its outputs with their types"),
    Rule(
        "tags in its schema, which Feast's registry loses",
        lambda view: any(field.tags for field in view.features),
        "tag the field of the request or the view that it is made of",
    ),
    Rule(
        "an Int32 in its schema",
        lambda view: any(str(field.dtype) == "Int32" for field in view.features),
        "declare Int64: Feast takes every whole number that a function gives for one",
    ),
    Rule(
        "track_metrics=True",
        has("track_metrics"),
        "leave it out: the server's /metrics tells times",
    ),
    VERSIONED,
    DISABLED,
)

SERVICE = (
    Rule(
        "a feature named by a text",
        has("_pending_feature_refs"),
        'name the view itself, as in features=[view] or features=[view[["column"]]]',
    ),
    Rule("a logging_config", has("logging_config"), "leave it out: it is for Feast's own server"),
    Rule(
        "precompute_online=True",
        has("precompute_online"),
        "a service with scored_by is precomputed",
    ),
)

PROJECTION = (
    Rule(
        "a view under another join key (with_join_key_map)",
        has("join_key_map"),
        "write a view of its own whose source has the key under that name",
    ),
    Rule(
        "a view under another name (with_name)",
        has("name_alias"),
        "write a view of its own under that name",
    ),
    Rule("a pinned version of a view", lambda p: p.version_tag is not None, "name the view alone"),
)

WHOLE = {
    "StreamFeatureView": "write a FeatureView over a PushSource, and push to it",
    "LabelView": "the label is a column of a source: tag the service with label=source.column",
    "KafkaSource": "write a PushSource, and push to it",
    "KinesisSource": "write a PushSource, and push to it",
    "Permission": "Potluck's server knows no users; guard it by the network, or by a proxy",
    "SavedDataset": "training keeps its rows' digest in MLflow",
    "ValidationReference": "the nightly run compares predictions with the published run's",
}
"""Objects that are refused as such, by their class."""
