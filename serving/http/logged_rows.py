"""Answers as rows of the inference log."""

import time
from collections.abc import Sequence
from typing import Any

from potluck.contract.errors import RequestError
from potluck.inference_log.rows import LoggedRow
from serving.http.target import Target
from serving.log.recorder import Recorder
from serving.services.answer import Answer
from serving.services.precomputed import Entity, FoundRow, PrecomputedService
from serving.services.predictor import Predictor
from serving.services.schema import Record


def prediction_row(
    predictor: Predictor,
    record: Record | None,
    answer: Answer | RequestError,
    target: Target,
    row: int | None = None,
) -> LoggedRow:
    """Return the row of a prediction that is being answered.

    Args:
        record: the checked record; None where the check refused it.
        row: its place in a batch.
    """
    release = predictor.release
    latency = time.perf_counter() - target.started
    which = (release.service, release.digest, release.model_version, predictor.contract.served_by)
    if isinstance(answer, RequestError):
        return LoggedRow(
            *which,
            target.request_id,
            row,
            time.time(),
            latency,
            record,
            error_code=answer.error_code,
            error_message=answer.message,
        )
    known = answer.known
    # By position: the names would cost the hot path as much as all the rest.
    return LoggedRow(
        *which,
        target.request_id,
        row,
        answer.request_time,
        latency,
        record,
        known.replies,
        known.looked_up_at,
        answer.prediction,
        answer.probabilities,
        known.overridden,
        known.not_found,
        answer.marks,
    )


def lookup_row(
    service: PrecomputedService,
    entity: Entity | None,
    found: FoundRow,
    target: Target,
    row: int | None = None,
) -> LoggedRow:
    """Return the row of a look-up that is being answered.

    Args:
        entity: the checked id; None where the check refused it.
        row: its place in a batch.
    """
    publication = service.publication
    record: dict[str, Any] | None = None if entity is None else {publication.key.name: entity}
    asked = (target.request_id, row, time.time(), time.perf_counter() - target.started, record)
    if isinstance(found, RequestError):
        return LoggedRow(
            publication.service,
            None,
            None,
            "precomputed",
            *asked,
            error_code=found.error_code,
            error_message=found.message,
        )
    pointer, stored = found
    return LoggedRow(
        publication.service,
        None,
        pointer.model_version,
        "precomputed",
        *asked,
        prediction=stored["prediction"],
        probabilities=stored.get("probabilities"),
        run_id=pointer.run_id,
    )


def log_predictions(
    recorder: Recorder,
    predictor: Predictor,
    records: Sequence[Record | RequestError],
    answers: Sequence[Answer | RequestError],
    target: Target,
) -> None:
    """Log a batch of predictions, row by row."""
    for row, (record, answer) in enumerate(zip(records, answers, strict=True)):
        checked = None if isinstance(record, RequestError) else record
        recorder.add(prediction_row(predictor, checked, answer, target, row))


def log_lookups(
    recorder: Recorder,
    service: PrecomputedService,
    ids: Sequence[Entity | RequestError],
    found: Sequence[FoundRow],
    target: Target,
) -> None:
    """Log a batch of look-ups, row by row."""
    for row, (entity, each) in enumerate(zip(ids, found, strict=True)):
        checked = None if isinstance(entity, RequestError) else entity
        recorder.add(lookup_row(service, checked, each, target, row))
