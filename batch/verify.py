"""What must hold before a run is published."""

import math
from typing import Any

from batch.publish import redis_key, stored_rows
from batch.score import Scores
from potluck.contract.errors import Refused, ServiceUnreachable
from potluck.contract.features import Publication
from potluck.contract.publication import Pointer
from potluck.contract.redis_format import Scalar, decode_value
from potluck.stores.redis_client import REDIS_ERRORS, RedisClient

LARGEST_FAILED_SHARE = 0.01
SAMPLE_ROWS = 1_000


def verify_scores(scores: Scores) -> None:
    """Every entity has one finite prediction, but for a few that could not be scored.

    Raises:
        Refused: it does not hold.
    """
    failed = len(scores.failures)
    if failed > LARGEST_FAILED_SHARE * scores.population:
        key, reason = scores.failures[0]
        raise Refused(
            f"{failed} of {scores.population} entities could not be scored, the first being {key}: {reason}; "
            f"expected at most {LARGEST_FAILED_SHARE:.0%}; the last published run stays"
        )
    if len(scores.keys) + failed != scores.population or len(set(scores.keys)) != len(scores.keys):
        raise Refused(f"expected one prediction for each of {scores.population} entities, got {len(scores.keys)}")
    wild = [key for key, value in zip(scores.keys, scores.values, strict=True) if not is_sound(value)]
    if wild:
        raise Refused(f"{len(wild)} predictions are not finite, the first being that of {wild[0]}; train again")


def is_sound(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def verify_staged(
    client: RedisClient, project: str, publication: Publication, scores: Scores, pointer: Pointer
) -> None:
    """Read a sample of the idle slot back, spread over the run.

    Raises:
        Refused: a row reads back as something else than was written.
        ServiceUnreachable: Redis went away.
    """
    step = max(1, len(scores.keys) // SAMPLE_ROWS)
    expected = list(zip(scores.keys, stored_rows(publication, scores, pointer), strict=True))[::step]
    fields = [bytes.fromhex(text) for text in publication.field_ids[pointer.slot]]
    pipe = client.pipeline(transaction=False)
    for entity, _ in expected:
        pipe.execute_command("HMGET", redis_key(project, publication, entity), *fields)
    try:
        replies = pipe.execute(raise_on_error=False)
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(f"Redis went away ({error}); the last published run is still read") from None
    for (entity, row), stored in zip(expected, replies, strict=True):
        if read_back(stored) != list(row.values()):
            raise Refused(f"the prediction of {entity} does not read back as it was written; the last run stays")


def read_back(stored: Any) -> list[Scalar] | None:
    """The values of an HMGET's reply; None where it holds something else."""
    try:
        return list(map(decode_value, stored)) if isinstance(stored, list) else None
    except ValueError:
        return None
