"""A precomputed view in Redis: blue/green slots, and the pointer to the slot that is read."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa

from batch.lease import Lease
from potluck.contract.errors import MissingStepError, ServiceUnreachable
from potluck.contract.publication import (
    Pointer,
    Publication,
    first_pointer_key,
    idle_slot,
    pointer_key,
    read_pointer,
)
from potluck.redis.client import REDIS_ERRORS, RedisClient
from potluck.redis.feast_bytes import entity_keys


@dataclass(frozen=True)
class StoredPointer:
    """The pointer as it was read from the store."""

    content: bytes | None
    """What a compare-and-set expects to find; it may be damaged."""
    pointer: Pointer | None
    """The published run; None where nothing was published, or where the content can't be read."""


@dataclass(frozen=True)
class View:
    """A precomputed view in its store. Every read raises ServiceUnreachable where Redis is away."""

    client: RedisClient
    project: str
    publication: Publication

    def read_pointer(self) -> StoredPointer:
        """Read the pointer together with the bytes that a compare-and-set expects."""
        content = self._read(pointer_key(self.project, self.publication.view))
        return StoredPointer(content, read_pointer(content))

    def read_occupied(self, current: Pointer | None) -> Pointer | None:
        """Find the run whose slot must not be written.

        Args:
            current: the published run.

        Returns:
            The published run. Before the first one, the run that version 0.1.0 published: it had
            another pointer, and its readers may still be there.
        """
        if current is not None:
            return current
        return read_pointer(self._read(first_pointer_key(self.project, self.publication.view)))

    def _read(self, key: str) -> bytes | None:
        try:
            found: bytes | None = self.client.execute_command("GET", key)  # type: ignore[no-untyped-call]
        except REDIS_ERRORS as error:
            raise ServiceUnreachable(f"the online store does not answer: {error}") from None
        return found

    def keys(self, rows: pa.Table) -> pa.BinaryArray:
        """Return the Redis keys of these rows' entities."""
        return entity_keys(self.project, [self.publication.key], rows)

    def release_idle_slot(self, lease: Lease, found: StoredPointer) -> StoredPointer:
        """Give up the run that the idle slot holds, before the slot is overwritten.

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
