"""Last night's predictions, looked up by id: one published run for all ids of a request."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from potluck.contract.errors import Detail, EntityNotFound, ModelNotReady, NewerFormat, RequestError
from potluck.contract.features import Objective
from potluck.contract.fields import Field
from potluck.contract.publication import (
    PREDICTION,
    PROBABILITIES,
    Pointer,
    Publication,
    StoredPredictions,
    pointer_key,
    read_pointer,
)
from potluck.contract.redis_format import DamagedValueError, entity_key_maker, value_reader
from potluck.scoring.remembered import Remembered
from serving.loop.microbatch import MicroBatch
from serving.loop.tasks import Tasks, answer_to
from serving.metrics import count, rows_counter
from serving.online.store import KeyCommand, OnlineStore, Reply
from serving.services.schema import KeyReader
from serving.services.stored_faults import NO_HASH, stores_fault

logger = logging.getLogger("potluck.serving")

Entity = int | str
ENOUGH = 8
LONGEST_STORED = 1024
NO_POINTER = "the key of the published run holds something else"
NO_PREDICTION = "a row of the published run has no prediction"
NO_SHARES = "the stored probabilities are no object of finite numbers"
Stored = dict[str, Any]
SHARES = TypeAdapter(dict[str, FiniteFloat])
FoundRow = tuple[Pointer, Stored] | RequestError
"""The published run and its row, or the error that is the answer."""
Answered = Callable[[FoundRow], None]
Asked = tuple[Entity, Answered]


@dataclass(frozen=True)
class Found:
    """The published run, and what it says of each id."""

    pointer: Pointer
    rows: list[Stored | RequestError]

    @property
    def answers(self) -> list[FoundRow]:
        """Each row with the run that it is of."""
        return [row if isinstance(row, RequestError) else (self.pointer, row) for row in self.rows]


class PrecomputedService:
    """Bound once to a publication."""

    def __init__(
        self, project: str, objective: Objective, publication: Publication, store: OnlineStore
    ) -> None:
        key = publication.key
        self.objective = objective
        self.publication = publication
        self.store = store
        self.keys = KeyReader(key)
        self.stored = StoredPredictions(
            publication,
            [
                Remembered(feature_reader(each), LONGEST_STORED).__getitem__
                for each in publication.features
            ],
        )
        self.entity_key = entity_key_maker(project, [key.name], [key.dtype])
        self.pointer_call = KeyCommand("GET"), pointer_key(project, publication.view).encode()
        self.read_row = KeyCommand("HMGET", *self.stored.fields)
        self.pointers = Remembered(readable_pointer, LONGEST_STORED)
        self.together: MicroBatch[Asked] = MicroBatch(self._begin, ENOUGH)
        self.tasks = Tasks()

    def submit(self, entity: Entity, answered: Answered) -> None:
        """Look one id up later, together with those that other requests bring at the same time.

        Args:
            answered: called once with the published run and its row, or with the error that is the
                answer.
        """
        self.together.add((entity, answered))

    def _begin(self, batch: list[Asked]) -> None:
        self.tasks.start(self._lookup_each(batch))

    async def _lookup_each(self, batch: list[Asked]) -> None:
        rows: Sequence[FoundRow]
        try:
            found = await self.lookup([entity for entity, _ in batch])
            rows = found.answers
        except Exception as error:
            rows = [answer_to(error)] * len(batch)
        for (_, answered), row in zip(batch, rows, strict=True):
            answered(row)

    async def lookup(self, ids: Sequence[Entity | RequestError]) -> Found:
        """Read every id under one pointer.

        Raises:
            FeatureStoreUnavailable: the store does not answer.
            ModelNotReady: no run was published yet.
        """
        try:
            found = await self.found(ids)
        except Exception:
            rows_counter(self.publication.service, "error").inc(len(ids))
            raise
        count(self.publication.service, found.rows)
        return found

    async def found(self, ids: Sequence[Entity | RequestError]) -> Found:
        """Read all once more where a run was published between the pointer and the rows.

        It shows in the rows' run ids.
        """
        found = await self.read(ids)
        if any(isinstance(row, EntityNotFound) for row in found.rows):
            latest = self.published((await self.store.read([self.pointer_call]))[0])
            found = found if latest.run_id == found.pointer.run_id else await self.read(ids)
        return found

    async def read(self, ids: Sequence[Entity | RequestError]) -> Found:
        good = [
            (self.read_row, self.entity_key([entity]))
            for entity in ids
            if not isinstance(entity, RequestError)
        ]
        stored, *replies = await self.store.read([self.pointer_call, *good])
        pointer = self.published(stored)
        rows = iter([self.row(reply, pointer) for reply in replies])
        return Found(
            pointer, [entity if isinstance(entity, RequestError) else next(rows) for entity in ids]
        )

    def published(self, stored: Reply) -> Pointer:
        if isinstance(stored, Exception):
            raise stores_fault(self.publication.service, NO_POINTER)
        pointer: Pointer | None = self.pointers[stored] if isinstance(stored, bytes) else None
        if pointer is None:
            raise ModelNotReady(
                f"{self.publication.service} has no published run yet; run `potluck nightly`"
            )
        return pointer

    def row(self, reply: Reply, pointer: Pointer) -> Stored | RequestError:
        """The stored row of the pointer's slot, if the pointer's run wrote it."""
        if not isinstance(reply, list):
            return stores_fault(self.publication.service, NO_HASH)
        try:
            row = self.stored.row(reply, pointer)
        except DamagedValueError as error:
            return stores_fault(self.publication.service, str(error))
        if row is not None and row[PREDICTION] is None:
            return stores_fault(self.publication.service, NO_PREDICTION)
        if row is None:
            reason = "the published run holds no prediction for this id"
            return EntityNotFound(reason, (Detail(self.publication.key.name, reason),))
        return row


def readable_pointer(stored: bytes | None) -> Pointer | None:
    """The pointer; none, and a line in the log, where a newer version wrote it."""
    try:
        return read_pointer(stored)
    except NewerFormat as error:
        logger.error("the published run can't be read: %s", error)
        return None


def feature_reader(field: Field) -> Callable[[bytes | None], Any]:
    """Of a stored feature; the probabilities of classes are stored as JSON."""
    read = value_reader(field, answered=True)

    def shares(stored: bytes | None) -> Any:
        text = read(stored)
        try:
            return None if text is None else SHARES.validate_json(str(text))
        except ValidationError:
            raise DamagedValueError(NO_SHARES) from None

    return shares if field.name == PROBABILITIES else read
