"""Last night's predictions, looked up by id: one published run for all ids of a request."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from potluck.contract.errors import Detail, EntityNotFound, FeatureStoreUnavailable, ModelNotReady, RequestError
from potluck.contract.features import Objective, Publication
from potluck.contract.publication import SLOTS, Pointer, pointer_key, read_pointer
from potluck.contract.redis_format import Scalar, decode_value, entity_key
from serving.online import Command, OnlineStore, Reply
from serving.schema import KeyReader

Stored = dict[str, Scalar]


@dataclass(frozen=True)
class Found:
    """The published run, and what it says of each id."""

    pointer: Pointer
    rows: list[Stored | RequestError]


class PrecomputedService:
    """Bound once to a publication."""

    def __init__(self, project: str, objective: Objective, publication: Publication) -> None:
        self.project = project
        self.objective = objective
        self.publication = publication
        self.keys = KeyReader(publication.key)
        self.names = tuple(field.name for field in publication.features)
        self.fields = tuple(bytes.fromhex(field) for slot in SLOTS for field in publication.field_ids[slot])

    async def lookup(self, ids: Sequence[int | str | RequestError], store: OnlineStore) -> Found:
        """Read every id under one pointer.

        A run that was published between reading the pointer and reading the rows shows in the rows' run ids; then all
        is read once more.

        Raises:
            FeatureStoreUnavailable: the store does not answer.
            ModelNotReady: no run was published yet.
        """
        found = await self.read(ids, store)
        if any(isinstance(row, EntityNotFound) for row in found.rows):
            latest = await self.pointer(store)
            found = found if latest.run_id == found.pointer.run_id else await self.read(ids, store)
        return found

    async def read(self, ids: Sequence[int | str | RequestError], store: OnlineStore) -> Found:
        good = [entity for entity in ids if not isinstance(entity, RequestError)]
        stored, *replies = await store.read([self.pointer_command, *map(self.command, good)])
        pointer = self.published(stored)
        rows = iter([self.row(reply, pointer) for reply in replies])
        return Found(pointer, [entity if isinstance(entity, RequestError) else next(rows) for entity in ids])

    async def pointer(self, store: OnlineStore) -> Pointer:
        return self.published((await store.read([self.pointer_command]))[0])

    @property
    def pointer_command(self) -> Command:
        return ("GET", pointer_key(self.project, self.publication.view))

    def command(self, entity: int | str) -> Command:
        key = self.publication.key
        return ("HMGET", entity_key(self.project, [key.name], [entity], [key.dtype]), *self.fields)

    def published(self, stored: Reply) -> Pointer:
        pointer = read_pointer(stored if isinstance(stored, bytes) else None)
        if pointer is None:
            raise ModelNotReady(f"{self.publication.service} has no published run yet; run `potluck nightly`")
        return pointer

    def row(self, reply: Reply, pointer: Pointer) -> Stored | RequestError:
        """The stored row of the pointer's slot, if the pointer's run wrote it."""
        if not isinstance(reply, list):
            return FeatureStoreUnavailable("the online store holds something else than features for this entity")
        width = len(self.names)
        start = SLOTS.index(pointer.slot) * width
        try:
            row = dict(zip(self.names, map(decode_value, reply[start : start + width]), strict=True))
        except ValueError:
            return FeatureStoreUnavailable("the online store holds something else than features for this entity")
        if row["run_id"] != pointer.run_id:
            reason = "the published run holds no prediction for this id"
            return EntityNotFound(reason, (Detail(self.publication.key.name, reason),))
        return row


def probabilities_of(row: Stored) -> dict[str, float] | None:
    """A class service's probabilities, which are stored as JSON."""
    text = row.get("probabilities")
    return json.loads(text) if isinstance(text, str) else None
