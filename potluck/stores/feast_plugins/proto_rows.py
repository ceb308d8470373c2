"""Feast's rows of protobuf messages, as `push` and `write_to_online_store` bring them, turned into
columns."""

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa
from feast import RepoConfig, utils
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

ProtoRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
"""Entity, features, event timestamp, created timestamp."""


def same_features(data: list[ProtoRow]) -> Iterable[tuple[list[str], list[ProtoRow]]]:
    """Runs of rows that hold the same features in the same order; Feast's own writers give one."""
    start = 0
    for end in range(1, len(data) + 1):
        if end == len(data) or data[end][1].keys() != data[start][1].keys():
            yield list(data[start][1]), data[start:end]
            start = end


def has_key(row: ProtoRow) -> bool:
    """Whether all of its join keys have a value; Feast has no bytes for an entity without one."""
    return all(value.WhichOneof("val") is not None for value in row[0].entity_values)


def columns_of(
    config: RepoConfig, names: list[str], rows: list[ProtoRow]
) -> "tuple[pa.BinaryArray, pa.Array, list[pa.BinaryArray]]":
    """Redis keys, event timestamps (null where a row has none) and serialized values."""
    project, version = config.project.encode(), config.entity_key_serialization_version
    keys = [
        serialize_entity_key(key, entity_key_serialization_version=version) + project
        for key, _, _, _ in rows
    ]
    times = [utc_or_none(moment) for _, _, moment, _ in rows]
    columns = []
    for name in names:
        values = [features[name].SerializeToString() for _, features, _, _ in rows]
        columns.append(pa.array(values, pa.binary()))
    return (
        pa.array(keys, pa.binary()),
        pa.array(times, pa.timestamp("us", tz="UTC")),
        columns,
    )


def utc_or_none(moment: datetime | None) -> datetime | None:
    """Feast hands a missing timestamp on as pandas' NaT, which is no moment and equals nothing,
    itself included."""
    missing = moment is None or moment != moment
    return None if missing else utils.make_tzaware(moment)
