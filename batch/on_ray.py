"""Scoring on Ray Data: the same function on the same shards, and the same sink."""

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported: nothing is sent

import pyarrow as pa
import ray
import ray.data

from batch.score import ScoredShard, ScoringJob, scored_schema
from potluck.contract.errors import PotluckError
from potluck.stores.part import Shard


class ShardScorer:
    """One of Ray's actors: it opens the model once."""

    def __init__(self, job: ScoringJob, shards: Sequence[Shard]) -> None:
        self.job, self.shards = job, {shard.number: shard for shard in shards}

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """One row a shard: Ray may cut and join blocks of rows, and never a row."""
        scored = [self.job.run(self.shards[int(number)]) for number in batch["number"]]
        return {
            "number": [each.shard.number for each in scored],
            "rows": [written(each.rows) for each in scored],
            **{step: [each.seconds[step] for each in scored] for step in ("features", "score")},
        }


def scored_on_ray(job: ScoringJob, shards: Sequence[Shard], workers: int) -> Iterator[ScoredShard]:
    """The scored shards, as they get ready.

    Raises:
        PotluckError: Ray gave up.
    """
    by_number = {shard.number: shard for shard in shards}
    if not shards:
        return
    started = not ray.is_initialized()
    if started:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        for row in rows_of(job, shards, min(workers, len(shards))):
            seconds = {step: float(row[step]) for step in ("features", "score")}
            yield ScoredShard(by_number[int(row["number"])], read(row["rows"], job), seconds)
    except (ray.exceptions.RayError, ray.exceptions.UserCodeException) as error:
        raise PotluckError(f"Ray could not score the population: {error}; run `potluck nightly --resume`") from error
    finally:
        if started:
            ray.shutdown()


def rows_of(job: ScoringJob, shards: Sequence[Shard], workers: int) -> Iterator[dict[str, Any]]:
    ray.data.DataContext.get_current().enable_progress_bars = False
    numbers = ray.data.from_items([{"number": shard.number} for shard in shards], override_num_blocks=len(shards))
    scored = numbers.map_batches(
        ShardScorer, fn_constructor_args=(job, list(shards)), batch_size=1, concurrency=workers, num_cpus=1
    )
    rows: Iterator[dict[str, Any]] = iter(scored.iter_rows())
    return rows


def written(rows: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return bytes(sink.getvalue())


def read(content: bytes, job: ScoringJob) -> pa.RecordBatch:
    with pa.ipc.open_stream(content) as stream:
        table = stream.read_all().combine_chunks()
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=scored_schema(job.contract))
