"""What an answer says besides the prediction, where a caller asks for it."""

from collections.abc import Iterator, Sequence
from typing import Any

from potluck.contract.errors import RequestError
from serving.services.answer import Answer
from serving.services.answer_options import AnswerOptions
from serving.services.predictor import Predictor
from serving.services.schema import Record

Body = dict[str, Any]


def extra_body(
    predictor: Predictor, record: Record, answer: Answer, options: AnswerOptions
) -> Body:
    """What is added to a prediction on request."""
    if not options.details:
        return {}
    return {"features": features_of(predictor, record, answer), **provenance_body(predictor)}


def features_of(predictor: Predictor, record: Record, answer: Answer) -> dict[str, Body]:
    return predictor.details.features(record, answer)


def provenance_body(predictor: Predictor) -> Body:
    """The digests of what answered: of the bundle, and of the definitions that it was made of."""
    lineage = predictor.contract.lineage
    definition = lineage.registry_hash if lineage else None
    return {"bundle": predictor.release.digest, "definition": definition}


def row_features(
    predictor: Predictor,
    records: Sequence[Record | RequestError],
    answers: Sequence[Answer | RequestError],
) -> Iterator[dict[str, Body] | None]:
    """The features of a batch, row by row; None where a row has no answer."""
    for record, answer in zip(records, answers, strict=True):
        if isinstance(record, RequestError) or isinstance(answer, RequestError):
            yield None
        else:
            yield features_of(predictor, record, answer)
