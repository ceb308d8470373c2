"""Write a run into the idle slot, in Feast's own bytes."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from batch.lease import Lease
from batch.score import FAILURE
from batch.view import View
from potluck.contract.errors import ServiceUnreachable
from potluck.contract.publication import (
    MODEL_VERSION,
    PREDICTION,
    PROBABILITIES,
    RUN_ID,
    Pointer,
    Publication,
    slot_fields,
    slot_view,
)
from potluck.contract.redis_format import encode_timestamp, encode_value, timestamp_field
from potluck.redis.bulk_writer import BulkWriter
from potluck.redis.client import REDIS_ERRORS
from potluck.redis.feast_bytes import encode_values
from potluck.scoring.transform import class_name

StepProgress = Callable[[str, int, int], None]
"""Called with a step's name, rows done and rows in all."""


def no_progress(step: str, done: int, total: int) -> None:
    """Tell nobody."""


NO_PROGRESS: StepProgress = no_progress


@dataclass(frozen=True)
class Staged:
    """What Redis did with a run."""

    refused: int
    """Entities whose key holds something else than a hash."""
    named: list[tuple[bytes, str]]
    """The first of them: key, and Redis' words."""


def stage(
    view: View,
    tables: Iterable[pa.Table],
    pointer: Pointer,
    lease: Lease,
    total: int,
    progress: StepProgress = NO_PROGRESS,
) -> Staged:
    """Write every prediction into the pointer's slot.

    Returns:
        What Redis refused.

    Raises:
        ServiceUnreachable: Redis went away, or is full; nothing that is read was touched.
        Locked: the lease was lost meanwhile.
    """
    done = 0
    try:
        with BulkWriter(view.client) as writer:
            for table in tables:
                lease.check()
                rows = predicted_rows(table)
                writer.write(view.keys(rows), stored_fields(view.publication, rows, pointer))
                done += rows.num_rows
                progress("stage", done, total)
            writer.flush()
            return Staged(writer.refused, writer.rejected)
    except (ServiceUnreachable, *REDIS_ERRORS) as error:
        raise ServiceUnreachable(
            f"Redis did not take the run ({error}); the last published run is still read; "
            "run `potluck nightly --resume`"
        ) from None


def values_of(column: Any, rows: int) -> list[Any]:
    """Return a column's values; where there is one value in place of a column, it stands for all.

    Args:
        column: an Arrow array, or one value.
        rows: how many values to return.
    """
    if isinstance(column, pa.Array):
        values: list[Any] = column.to_pylist()
        return values
    return [column] * rows


def predicted_rows(table: pa.Table) -> pa.Table:
    """Return the rows that have a prediction."""
    return table.filter(table[FAILURE].is_null())


def stored_fields(
    publication: Publication, rows: pa.Table, pointer: Pointer
) -> Sequence[tuple[bytes, pa.BinaryArray | bytes]]:
    """Return hash fields and their bytes in Feast's order: the timestamp, then the features."""
    stamp = timestamp_field(slot_view(publication.view, pointer.slot)).encode()
    columns = stored_columns(publication, rows, pointer)
    names = slot_fields(publication, pointer.slot)
    fields: list[tuple[bytes, pa.BinaryArray | bytes]] = [(stamp, encode_timestamp(pointer.as_of))]
    for name, feature in zip(names, publication.features, strict=True):
        fields.append((name, encode_column(columns.get(feature.name), feature.dtype)))
    return fields


def stored_columns(
    publication: Publication,
    rows: pa.Table,
    pointer: Pointer,
) -> dict[str, pa.Array | str]:
    """Return what the view's features are filled with: a column, or one text for all rows."""
    dtypes = {field.name: field.dtype for field in publication.features}
    return {
        PREDICTION: prediction_column(rows[PREDICTION].combine_chunks(), dtypes[PREDICTION]),
        PROBABILITIES: rows[PROBABILITIES].combine_chunks(),
        MODEL_VERSION: pointer.model_version,
        RUN_ID: pointer.run_id,
    }


def prediction_column(column: pa.Array, dtype: str) -> pa.Array:
    """Turn labels into their names where the view declares a string."""
    if dtype != "string" or pa.types.is_string(column.type):
        return column
    labels = column.dictionary_encode()
    names = [class_name(label) for label in labels.dictionary.to_pylist()]
    return pa.array(names, pa.string()).take(labels.indices)


def encode_column(column: pa.Array | str | None, dtype: str) -> pa.BinaryArray | bytes:
    """Encode a column in Feast's bytes.

    A null becomes no bytes at all, as stock Feast writes it: an explicit null it would read as 0.
    """
    if column is None:
        return b""
    if isinstance(column, str):
        return encode_value(column, dtype)
    return encode_values(column, dtype, null=b"")
