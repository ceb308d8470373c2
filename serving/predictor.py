"""Records in, answers out: the request's fields, joined with what the store knows, scored by the champion."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from potluck.contract.errors import DataError, Detail, RequestError, SchemaValidation
from potluck.contract.features import Literals
from potluck.contract.redis_format import Scalar
from potluck.scoring.bundle import Model
from potluck.scoring.releases import Release
from serving.entities import EntityReader
from serving.online import OnlineStore
from serving.schema import Record, RequestSchema

ROWS_SCORED_IN_THE_LOOP = 8  # more would hold up other requests: a thread scores them


@dataclass(frozen=True)
class Answer:
    """One scored record, and what the caller should know about it."""

    prediction: Literals
    probabilities: dict[str, float] | None
    overridden: tuple[str, ...]
    unseen: tuple[str, ...]
    imputed: tuple[str, ...]

    @property
    def notes(self) -> dict[str, tuple[str, ...]]:
        named = {"overridden": self.overridden, "unseen": self.unseen, "imputed": self.imputed}
        return {name: fields for name, fields in named.items() if fields}


@dataclass(frozen=True)
class Joined:
    """A record with every input of the contract."""

    inputs: dict[str, Scalar]
    overridden: tuple[str, ...]


class Predictor:
    """A champion with its schema and its reader, made when its bundle goes live."""

    def __init__(self, release: Release, model: Model) -> None:
        self.release = release
        self.model = model
        self.contract = model.contract
        self.schema = RequestSchema(model.contract)
        self.entities = EntityReader(model.contract)

    async def predict(
        self, records: list[Record | SchemaValidation], store: OnlineStore, now: datetime
    ) -> list[Answer | RequestError]:
        """Answer every record in its place; a bad one is an error in its place, and harms no other.

        Args:
            records: checked records, or why a record failed its check.
            now: the request's time.

        Raises:
            FeatureStoreUnavailable: the service looks features up, and the store does not answer.
        """
        joined = await self.join(records, store, now)
        good = [row for row, record in enumerate(joined) if isinstance(record, Joined)]
        batch = [record for record in joined if isinstance(record, Joined)]
        many = len(batch) > ROWS_SCORED_IN_THE_LOOP
        answers = await asyncio.to_thread(self.answers, batch, now) if many else self.answers(batch, now)
        placed: dict[int, Answer | RequestError] = dict(zip(good, answers, strict=True))
        return [record if isinstance(record, RequestError) else placed[row] for row, record in enumerate(joined)]

    async def join(
        self, records: list[Record | SchemaValidation], store: OnlineStore, now: datetime
    ) -> list[Joined | RequestError]:
        """One round trip for all entities of all records."""
        width = len(self.entities.hashes)
        good = [record for record in records if not isinstance(record, RequestError)]
        commands = [command for record in good for command in self.entities.commands(record)]
        replies = iter(await store.read(commands) if commands else [])
        out: list[Joined | RequestError] = []
        for record in records:
            if isinstance(record, RequestError):
                out.append(record)
                continue
            looked_up = self.entities.values([next(replies) for _ in range(width)], now.timestamp())
            out.append(looked_up if isinstance(looked_up, RequestError) else self.joined(record, looked_up))
        return out

    def joined(self, record: Record, looked_up: dict[str, Scalar]) -> Joined | SchemaValidation:
        """The request's value where it sent one, else the store's."""
        inputs = {field.name: record.get(field.name) for field in self.contract.inputs}
        overridden = tuple(name for name in looked_up if inputs[name] is not None)
        inputs.update({name: value for name, value in looked_up.items() if inputs[name] is None})
        lacking = [f for f in self.contract.inputs if f.required and f.default is None and inputs[f.name] is None]
        if lacking:
            reason = "required, and the online store holds no value for this entity: send one"
            return SchemaValidation(reason, tuple(Detail(field.name, reason) for field in lacking))
        return Joined(inputs, overridden)

    def answers(self, batch: list[Joined], now: datetime) -> list[Answer | RequestError]:
        """Score a batch; where a row makes an on-demand function fail, each row by itself."""
        if not batch:
            return []
        try:
            return self.scored(batch, now)
        except DataError as error:
            if len(batch) == 1:
                return [SchemaValidation("the record can't be scored", (Detail("", str(error)),))]
            return [self.answers([joined], now)[0] for joined in batch]

    def scored(self, batch: list[Joined], now: datetime) -> list[Answer | RequestError]:
        columns = {field.name: [joined.inputs[field.name] for joined in batch] for field in self.contract.inputs}
        scored = self.model.score(columns, [now] * len(batch))
        unseen, imputed = by_row(scored.rows.unseen), by_row(scored.rows.imputed)
        shares: Sequence[dict[str, float] | None] = scored.predictions.probabilities or [None] * len(batch)
        values = zip(scored.predictions.values, shares, batch, strict=True)
        return [
            Answer(value, share, joined.overridden, tuple(unseen[row]), tuple(imputed[row]))
            for row, (value, share, joined) in enumerate(values)
        ]


def by_row(marked: Mapping[str, list[int]]) -> defaultdict[int, list[str]]:
    """Column -> rows, turned into row -> columns."""
    columns: defaultdict[int, list[str]] = defaultdict(list)
    for name, rows in marked.items():
        for row in rows:
            columns[row].append(name)
    return columns
