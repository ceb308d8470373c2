"""Writing a run into the idle slot, in Feast's own bytes, and having readers read it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa

from batch.lease import Lease
from batch.score import FAILURE, PREDICTION, PROBABILITIES
from potluck.contract.errors import MissingStepError, ServiceUnreachable
from potluck.contract.features import Publication
from potluck.contract.publication import (
    Pointer,
    first_pointer_key,
    idle_slot,
    pointer_key,
    read_pointer,
    slot_fields,
    slot_view,
)
from potluck.contract.redis_format import encode_timestamp, encode_value, timestamp_field
from potluck.redis.bulk_writer import BulkWriter
from potluck.redis.client import REDIS_ERRORS, RedisClient
from potluck.redis.feast_bytes import encode_values, entity_keys
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
    """Key and Redis's words for the first of them."""


@dataclass(frozen=True)
class StoredPointer:
    """The pointer as it was read from the store."""

    content: bytes | None
    """What a compare-and-set expects to find; it may be damaged."""
    pointer: Pointer | None
    """The published run; None where nothing was published, or where the content can't be read."""


@dataclass(frozen=True)
class View:
    """A precomputed view in its store."""

    client: RedisClient
    project: str
    publication: Publication

    @property
    def pointer_key(self) -> str:
        return pointer_key(self.project, self.publication.view)

    def stored_pointer(self) -> bytes | None:
        """The pointer's bytes.

        Raises:
            ServiceUnreachable: the online store does not answer.
        """
        return self.stored(self.pointer_key)

    def stored(self, key: str) -> bytes | None:
        try:
            found: bytes | None = self.client.execute_command("GET", key)  # type: ignore[no-untyped-call]
        except REDIS_ERRORS as error:
            raise ServiceUnreachable(f"the online store does not answer: {error}") from None
        return found

    def occupied(self, current: Pointer | None) -> Pointer | None:
        """The run whose slot is not to be written: the published one; before the first, that of 0.1.0.

        Args:
            current: the published run.
        """
        if current is not None:
            return current
        return read_pointer(self.stored(first_pointer_key(self.project, self.publication.view)))

    def published(self) -> Pointer | None:
        """The run that is read now."""
        return read_pointer(self.stored_pointer())

    def read_pointer(self) -> StoredPointer:
        """Read the pointer together with the bytes that a compare-and-set expects."""
        stored = self.stored_pointer()
        return StoredPointer(stored, read_pointer(stored))

    def keys(self, rows: pa.Table) -> pa.BinaryArray:
        """Return the Redis keys of these rows' entities."""
        return entity_keys(self.project, [self.publication.key], rows)

    def release_idle_slot(self, lease: Lease, found: StoredPointer) -> StoredPointer:
        """Give up the run that the idle slot holds, before it is overwritten.

        It can't be rolled back to any more.

        Args:
            found: the pointer, read under the lease.

        Returns:
            The pointer that is stored now.

        Raises:
            Locked: the lease is lost, or somebody else moved the pointer.
        """
        if found.pointer is None or found.pointer.previous is None:
            return found
        alone = found.pointer.alone()
        content = alone.to_json()
        lease.switch(found.content, content)
        return StoredPointer(content, alone)

    def switch(self, lease: Lease, found: StoredPointer, pointer: Pointer) -> Pointer:
        """Have readers read another run, in one atomic step.

        The run before can be rolled back to, where it lies in the other slot.

        Args:
            found: the pointer, read under the lease.
            pointer: of the other run.

        Raises:
            Locked: the lease is lost, or somebody else moved the pointer.
        """
        current, previous = found.pointer, None
        if current is not None and current.slot != pointer.slot:
            previous = current.alone()
        moment = datetime.now(UTC)
        published = replace(pointer, token=lease.token, previous=previous, published_at=moment)
        lease.switch(found.content, published.to_json())
        return published

    def roll_back(self, lease: Lease) -> Pointer:
        """Have readers read the run before.

        Raises:
            MissingStepError: there is none, or its slot was written over since.
        """
        found = self.read_pointer()
        if found.pointer is None or found.pointer.previous is None:
            raise MissingStepError(
                f"{self.publication.service} has no run to roll back to: expected two published "
                "runs, and none begun after them; run `potluck nightly` with another champion or "
                "date instead"
            )
        return self.switch(lease, found, found.pointer.previous)


def new_pointer(
    occupied: Pointer | None,
    run_id: str,
    as_of: datetime,
    model_version: str,
    rows: int,
) -> Pointer:
    """Return the pointer that would publish a run from the slot that is idle now."""
    return Pointer(
        slot=idle_slot(occupied),
        run_id=run_id,
        as_of=as_of,
        model_version=model_version,
        rows=rows,
    )


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
        "model_version": pointer.model_version,
        "run_id": pointer.run_id,
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
