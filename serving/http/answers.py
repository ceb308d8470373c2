"""Answers as the HTTP contract words them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Send

from potluck.contract.errors import RequestError
from potluck.contract.publication import Pointer
from serving.http.detail_bodies import provenance_body, row_features
from serving.loop.turns import Turns
from serving.services.answer import Answer
from serving.services.answer_options import PLAIN, AnswerOptions
from serving.services.precomputed import Entity, Found, PrecomputedService, Stored
from serving.services.predictor import Predictor
from serving.services.schema import Record

ROWS_WRITTEN_AT_ONCE = 16
RETRY_AFTER = {"retry-after": "1"}
"""Seconds: what is full or away now may be there again a moment later."""
ASK_AGAIN = frozenset({429, 503})
"""Statuses that tell when to ask again."""

Body = dict[str, Any]


class JsonAnswer(Response):
    """A body as JSON; floats in their shortest form that reads back to the same bits."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return to_json(content)


async def send_json(send: Send, body: Body) -> None:
    """A 200 as two plain messages."""
    content = to_json(body)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def error_answer(
    error: RequestError, request_id: str, headers: Mapping[str, str] | None = None
) -> JsonAnswer:
    body = {**error_body(error), "request_id": request_id}
    again = RETRY_AFTER if error.status in ASK_AGAIN else {}
    return JsonAnswer(body, error.status, headers={**(headers or {}), **again})


def error_body(error: RequestError) -> Body:
    details = [{"field": detail.field, "reason": detail.reason} for detail in error.details]
    return {"error_code": error.error_code, "message": error.message, "details": details}


def prediction_body(predictor: Predictor, answer: Answer, request_id: str) -> Body:
    probabilities = {"probabilities": answer.probabilities} if answer.probabilities else {}
    return {
        "prediction": answer.prediction,
        **probabilities,
        "service": predictor.release.service,
        "model_version": predictor.release.model_version,
        "served_by": predictor.contract.served_by,
        **answer.notes,
        "request_id": request_id,
    }


def batch_body(
    predictor: Predictor,
    records: Sequence[Record | RequestError],
    answers: Sequence[Answer | RequestError],
    request_id: str,
    options: AnswerOptions = PLAIN,
) -> Body:
    """Row by row: a prediction or null; errors and notes name their row."""
    served = predictor.contract.served_by
    body: Body = {
        "predictions": [None if isinstance(a, RequestError) else a.prediction for a in answers]
    }
    if predictor.contract.classes:
        body["probabilities"] = [
            None if isinstance(a, RequestError) else a.probabilities for a in answers
        ]
    body["errors"] = row_errors(answers)
    if any(isinstance(a, Answer) and a.is_noted for a in answers):
        body["notes"] = row_notes(answers)
    if options.details:
        body["features"] = row_features(predictor, records, answers)
        body.update(provenance_body(predictor))
    return {
        **body,
        "service": predictor.release.service,
        "model_version": predictor.release.model_version,
        "served_by": [None if isinstance(a, RequestError) else served for a in answers],
        "request_id": request_id,
    }


def row_errors(rows: Sequence[object]) -> Iterator[Body]:
    for place, row in enumerate(rows):
        if isinstance(row, RequestError):
            yield {"row": place, **error_body(row)}


def row_notes(answers: Sequence[Answer | RequestError]) -> Iterator[Body]:
    for row, answer in enumerate(answers):
        if isinstance(answer, Answer) and answer.is_noted:
            yield {"row": row, **answer.notes}


async def batch_answer(body: Body, turns: Turns) -> Response:
    """A body as JSON, made in turns: a thousand rows may have megabytes of errors and notes.

    Args:
        body: with an iterator in the place of each list that may be long.
    """
    parts = []
    for name, value in body.items():
        text = await list_as_json(value, turns) if isinstance(value, Iterator) else to_json(value)
        parts.append(b"%b:%b" % (to_json(name), text))
    return Response(b"{%b}" % b",".join(parts), media_type=JsonAnswer.media_type)


async def list_as_json(entries: Iterator[Any], turns: Turns) -> bytes:
    parts = []
    while some := [*islice(entries, ROWS_WRITTEN_AT_ONCE)]:
        parts.append(to_json(some)[1:-1])
        await turns.over()
    return b"[%b]" % b",".join(parts)


def lookup_body(
    service: PrecomputedService, pointer: Pointer, row: Stored, entity: Entity, request_id: str
) -> Body:
    return {
        **stored_body(row),
        "service": service.publication.service,
        "entity_id": entity,
        "served_by": "precomputed",
        **run_body(pointer),
        "request_id": request_id,
    }


def stored_body(row: Stored) -> Body:
    probabilities = row.get("probabilities")
    return {
        "prediction": row["prediction"],
        **({"probabilities": probabilities} if probabilities else {}),
    }


def lookups_body(service: PrecomputedService, found: Found, request_id: str) -> Body:
    rows = [None if isinstance(row, RequestError) else stored_body(row) for row in found.rows]
    body: Body = {"predictions": [row and row["prediction"] for row in rows]}
    if service.objective != "regression":
        body["probabilities"] = [row and row.get("probabilities") for row in rows]
    return {
        **body,
        "errors": row_errors(found.rows),
        "service": service.publication.service,
        "served_by": "precomputed",
        **run_body(found.pointer),
        "request_id": request_id,
    }


def run_body(pointer: Pointer) -> Body:
    return {
        "model_version": pointer.model_version,
        "run_id": pointer.run_id,
        "as_of": pointer.as_of.isoformat(),
        "age_seconds": pointer.age_seconds(datetime.now(UTC)),
    }


def summary_body(service: Predictor | PrecomputedService) -> Body:
    """What the list of services says of one; a precomputed service has no version of its own."""
    if isinstance(service, PrecomputedService):
        return {
            "service": service.publication.service,
            "model_version": None,
            "objective": service.objective,
            "served_by": "precomputed",
        }
    return {
        "service": service.contract.service,
        "model_version": service.release.model_version,
        "objective": service.contract.objective,
        "served_by": service.contract.served_by,
    }


def service_body(predictor: Predictor) -> Body:
    """A service's contract, for people and clients."""
    contract = predictor.contract
    return {
        **summary_body(predictor),
        "scorer": predictor.scorer,
        "classes": list(contract.classes),
        "entity": [key.name for key in contract.keys],
        "fields": [field_body(field) for field in contract.fields],
    }


def precomputed_body(service: PrecomputedService) -> Body:
    publication = service.publication
    return {
        **summary_body(service),
        "entity": [publication.key.name],
        "fields": [field_body(field) for field in (publication.key, *publication.features)],
    }


def field_body(field: Any) -> Body:
    return {
        "name": field.name,
        "dtype": field.dtype,
        "source": field.source,
        "required": field.required,
        "default": field.default,
    }
