"""Where a view's keys, time and features stand in its source's records."""

from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView, Field

from potluck.redis.binary_columns import one_array
from potluck.redis.feast_bytes import encode_values
from potluck.stores.feast_plugins.feast_values import encode_by_feast
from potluck.stores.feast_plugins.session import KEYLESS, WrittenRows
from potluck.stores.parquet.census import RowCounter
from potluck.stores.parquet.offline_reads import file_columns, parquet_source

NULL = b""
"""What Feast writes for a null."""


def type_name(field: Field) -> str:
    return str(field.dtype.to_value_type().name.lower())


def join_key_types(view: FeatureView) -> dict[str, str]:
    """Join key -> Feast's value type in lower case."""
    return {key.name: type_name(key) for key in view.entity_columns}


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
        column = file_columns(view.batch_source)
        time = view.batch_source.timestamp_field
        key_types = join_key_types(view)
        features = [
            (column.get(feature.name, feature.name), type_name(feature))
            for feature in view.features
        ]
        keys = [column.get(key, key) for key in key_types]
        return cls(key_types, keys, column.get(time, time), features)

    def with_keys(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        """The rows that have all their join keys."""
        columns = batch.select(self.keys).columns
        if not any(column.null_count for column in columns):
            return batch
        return batch.filter(reduce(pc.and_, map(pc.is_valid, columns)))

    def keys_of(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        return batch.select(self.keys).rename_columns(list(self.key_types))

    def values_of(self, batch: "pa.RecordBatch") -> "list[pa.BinaryArray]":
        return [encoded(batch.column(name), dtype) for name, dtype in self.features]


def encoded(column: "pa.Array", dtype: str) -> "pa.BinaryArray":
    """Feast's bytes of a feature; NaN is null, as `feast materialize` has it."""
    column = one_array(column)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return encode_values(column, dtype, NULL, otherwise=encode_by_feast)


def name_keyless(view: FeatureView, columns: ViewColumns, told: WrittenRows) -> None:
    """Count the source's rows without a key, and say where they are: only the latest of them
    came."""
    source = parquet_source(view.batch_source)
    if source is not None and told.left_out[KEYLESS]:
        keys = dict(zip(columns.key_types, columns.keys, strict=True))
        found = RowCounter(source, keys).keyless()
        told.left_out[KEYLESS] = found.count
        told.examples[KEYLESS] = list(found.examples)
