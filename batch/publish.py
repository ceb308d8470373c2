"""Writing a run into the idle slot, in Feast's own bytes, and making it the one that is read."""

import hashlib
import json
from collections.abc import Callable, Iterator

from batch.score import Scores
from potluck.contract.errors import ServiceUnreachable
from potluck.contract.features import Publication
from potluck.contract.publication import Pointer, idle_slot, pointer_key, read_pointer, slot_view
from potluck.contract.redis_format import Scalar, encode_timestamp, encode_value, entity_key, timestamp_field
from potluck.scoring.transform import class_name
from potluck.stores.redis_client import REDIS_ERRORS, RedisClient

CHUNK_ROWS = 2_000

Row = dict[str, Scalar]


def stage(
    client: RedisClient,
    project: str,
    publication: Publication,
    scores: Scores,
    model_version: str,
    progress: Callable[[str, int, int], None],
) -> Pointer:
    """Write every prediction into the slot that nobody reads, and answer the pointer that would publish them.

    Raises:
        ServiceUnreachable: Redis went away, or is full; nothing that is read was touched.
    """
    current = published(client, project, publication)
    pointer = Pointer(
        slot=idle_slot(current),
        run_id=run_id(scores, model_version),
        as_of=scores.as_of,
        model_version=model_version,
        rows=len(scores.keys),
    )
    rows = list(zip(scores.keys, stored_rows(publication, scores, pointer), strict=True))
    try:
        for start in range(0, len(rows), CHUNK_ROWS):
            write_chunk(client, project, publication, pointer, rows[start : start + CHUNK_ROWS])
            progress("stage", min(start + CHUNK_ROWS, len(rows)), len(rows))
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(
            f"Redis did not take the run ({error}); the last published run is still read; run `potluck nightly` again"
        ) from None
    return pointer


def publish(client: RedisClient, project: str, publication: Publication, pointer: Pointer) -> None:
    """Switch the readers, in one atomic step."""
    client.set(pointer_key(project, publication.view), pointer.to_json())


def published(client: RedisClient, project: str, publication: Publication) -> Pointer | None:
    """The run that is read now."""
    try:
        stored = client.execute_command("GET", pointer_key(project, publication.view))  # type: ignore[no-untyped-call]
        return read_pointer(stored)
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(f"the online store does not answer: {error}") from None


def run_id(scores: Scores, model_version: str) -> str:
    """Named after date, model and result: the same run again has the same name."""
    result = hashlib.sha256(json.dumps([scores.keys, scores.values, scores.probabilities]).encode())
    return f"{scores.as_of:%Y%m%dT%H%M%SZ}-v{model_version}-{result.hexdigest()[:12]}"


def stored_rows(publication: Publication, scores: Scores, pointer: Pointer) -> Iterator[Row]:
    """Each prediction with the features that the view declares."""
    names = [field.name for field in publication.features]
    numeric = next(field.dtype for field in publication.features if field.name == "prediction") != "string"
    shares: list[dict[str, float]] | list[None] = scores.probabilities or [None] * len(scores.keys)
    for value, share in zip(scores.values, shares, strict=True):
        row: Row = {
            "prediction": value if numeric or isinstance(value, str) else class_name(value),
            "probabilities": None if share is None else json.dumps(share),
            "model_version": pointer.model_version,
            "run_id": pointer.run_id,
        }
        yield {name: row.get(name) for name in names}


def write_chunk(
    client: RedisClient, project: str, publication: Publication, pointer: Pointer, rows: list[tuple[int | str, Row]]
) -> None:
    fields = [bytes.fromhex(text) for text in publication.field_ids[pointer.slot]]
    stamp = [timestamp_field(slot_view(publication.view, pointer.slot)), encode_timestamp(pointer.as_of)]
    pipe = client.pipeline(transaction=False)
    for entity, row in rows:
        values = [encode_value(row[field.name], field.dtype) for field in publication.features]
        pairs = [part for pair in zip(fields, values, strict=True) for part in pair]
        pipe.execute_command("HSET", redis_key(project, publication, entity), *stamp, *pairs)
    pipe.execute()


def redis_key(project: str, publication: Publication, entity: int | str) -> bytes:
    return entity_key(project, [publication.key.name], [entity], [publication.key.dtype])
