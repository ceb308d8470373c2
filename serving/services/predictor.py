"""Records in, answers out: the request's fields, joined with what the store knows, scored by the
champion."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import zip_longest

from potluck.contract.errors import DataError, Detail, RequestError, SchemaValidation
from potluck.contract.redis_format import DamagedValueError
from potluck.scoring.model import Model
from potluck.scoring.plan import Plan
from potluck.scoring.releases import Release
from serving.loop.microbatch import MicroBatch
from serving.loop.tasks import Tasks, answer_to
from serving.metrics import count, rows_counter
from serving.online.store import OnlineStore, Reply
from serving.services.answer import Answer
from serving.services.details import DetailReader
from serving.services.entities import EntityReader, Known
from serving.services.schema import Record, RequestSchema
from serving.services.stored_faults import stores_fault

ROWS_PER_TURN = 64
ENOUGH_TO_READ, ENOUGH_TO_SCORE = (
    8,
    32,
)  # the store works on some records while the next ones are read

Joined = tuple[Record, Known]
Answered = Callable[[Answer | RequestError], None]
Asked = tuple[Record, Answered]
ReadyToScore = tuple[Joined, Answered]
NOTHING_KNOWN = Known(())


class Predictor:
    """A champion with its schema, its reader and its plan, made when its bundle goes live."""

    def __init__(self, release: Release, model: Model, store: OnlineStore) -> None:
        self.release = release
        self.contract = model.contract
        self.scorer = model.scorer.name
        self.schema = RequestSchema(model.contract)
        self.entities = EntityReader(model.contract)
        self.plan = Plan(model)
        self.model = model
        self.store = store
        self.reading: MicroBatch[Asked] = MicroBatch(self._read, ENOUGH_TO_READ)
        self.scoring: MicroBatch[ReadyToScore] = MicroBatch(self._score, ENOUGH_TO_SCORE)
        self.tasks = Tasks()

    @cached_property
    def details(self) -> DetailReader:
        """Made when somebody asks for details the first time."""
        return DetailReader(self.model)

    def submit(self, record: Record, answered: Answered) -> None:
        """Answer a checked record later, together with those that other requests bring at the same
        time.

        Args:
            answered: called once with the answer, or with the error that is the answer.
        """
        if self.entities.hashes:
            self.reading.add((record, answered))
        else:
            self.scoring.add(((record, NOTHING_KNOWN), answered))

    def _read(self, batch: list[Asked]) -> None:
        self.tasks.start(self._join(batch))

    async def _join(self, batch: list[Asked]) -> None:
        try:
            replies, now = await self.replies([record for record, _ in batch]), time.time()
            joined = [self.join(record, replies, now) for record, _ in batch]
        except Exception as error:
            joined = [answer_to(error)] * len(batch)
        for (_, answered), each in zip(batch, joined, strict=True):
            if isinstance(each, RequestError):
                count(self.contract.service, [each])
                answered(each)
            else:
                self.scoring.add((each, answered))

    def _score(self, batch: list[ReadyToScore]) -> None:
        answers: Sequence[Answer | RequestError]
        try:
            answers = self.scored([joined for joined, _ in batch], datetime.now(UTC))
        except Exception as error:
            answers = [answer_to(error)] * len(batch)
        count(self.contract.service, answers)
        for (_, answered), answer in zip(batch, answers, strict=True):
            answered(answer)

    async def predict(
        self, records: Sequence[Record | SchemaValidation]
    ) -> list[Answer | RequestError]:
        """Answer every record in its place; a bad one is an error in its place, and harms no other.

        The store works on the next rows while these are scored, and other requests have their turn
        in between.

        Args:
            records: checked records, or why a record failed its check.

        Raises:
            FeatureStoreUnavailable: the service looks features up, and the store does not answer.
        """
        try:
            answers = await self.in_parts(records)
        except Exception:
            rows_counter(self.contract.service, "error").inc(len(records))
            raise
        count(self.contract.service, answers)
        return answers

    async def in_parts(
        self, records: Sequence[Record | SchemaValidation]
    ) -> list[Answer | RequestError]:
        now = datetime.now(UTC)
        out: list[Answer | RequestError] = []
        parts = [
            records[start : start + ROWS_PER_TURN]
            for start in range(0, len(records), ROWS_PER_TURN)
        ]
        reading = [asyncio.create_task(self.replies(part)) for part in parts[:1]]
        for part, following in zip_longest(parts, parts[1:]):
            replies = await reading.pop()
            if following is not None:
                reading.append(asyncio.create_task(self.replies(following)))
                await asyncio.sleep(0)
            out += self.answers(part, replies, now)
        return out

    async def replies(self, records: Sequence[Record | SchemaValidation]) -> Iterator[Reply]:
        """One round trip for all entities of all records."""
        if not self.entities.hashes:
            return iter(())
        good = (record for record in records if not isinstance(record, RequestError))
        return iter(
            await self.store.read([call for record in good for call in self.entities.calls(record)])
        )

    def answers(
        self, records: Sequence[Record | SchemaValidation], replies: Iterator[Reply], now: datetime
    ) -> list[Answer | RequestError]:
        """Answer these records with the replies that are theirs."""
        joined = [self.join(record, replies, now.timestamp()) for record in records]
        scored = iter(
            self.scored([each for each in joined if not isinstance(each, RequestError)], now)
        )
        return [each if isinstance(each, RequestError) else next(scored) for each in joined]

    def join(
        self, record: Record | SchemaValidation, replies: Iterator[Reply], now: float
    ) -> Joined | RequestError:
        if isinstance(record, RequestError):
            return record
        if not self.entities.hashes:
            return record, NOTHING_KNOWN
        known = self.entities.known(record, [next(replies) for _ in self.entities.hashes], now)
        return known if isinstance(known, RequestError) else (record, known)

    def scored(self, batch: Sequence[Joined], now: datetime) -> Sequence[Answer | RequestError]:
        """Score a batch; where a row can't be scored, each row by itself."""
        if not batch:
            return []
        try:
            outcome = self.plan.score(
                [record for record, _ in batch], [known.stored for _, known in batch], now
            )
        except (DataError, DamagedValueError) as error:
            return (
                [self.scored([each], now)[0] for each in batch]
                if len(batch) > 1
                else [self.refused(error)]
            )
        values, marks = outcome.predictions.values, outcome.marks
        shares: Sequence[dict[str, float] | None] = outcome.predictions.probabilities or [
            None
        ] * len(batch)
        request_time = now.timestamp()
        return [
            Answer(values[row], shares[row], known, marks.get(row, []), request_time)
            for row, (_, known) in enumerate(batch)
        ]

    def refused(self, error: DataError | DamagedValueError) -> RequestError:
        if isinstance(error, DamagedValueError):
            return stores_fault(self.contract.service, str(error))
        return SchemaValidation("the record can't be scored", (Detail("", str(error)),))
