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
from potluck.stores.parquet.shard import Shard


class ShardScorer:
    """One of Ray's actors: it opens the model once."""

    def __init__(self, job: ScoringJob, shards: Sequence[Shard]) -> None:
        self.job, self.shards = job, {shard.number: shard for shard in shards}

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Score the shards of a block of numbers.

        Returns:
            A row for each shard: Ray may cut and join blocks of rows, and never a row.
        """
        columns: dict[str, list[Any]] = {"number": [], "rows": [], "features": [], "score": []}
        for number in batch["number"]:
            scored = self.job.run(self.shards[int(number)])
            columns["number"].append(scored.shard.number)
            columns["rows"].append(encode_rows(scored.rows))
            columns["features"].append(scored.seconds["features"])
            columns["score"].append(scored.seconds["score"])
        return columns


def score_on_ray(
    job: ScoringJob,
    shards: Sequence[Shard],
    workers: int,
) -> Iterator[ScoredShard]:
    """Yield the scored shards, as they get ready.

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
        for row in run_on_ray(job, shards, min(workers, len(shards))):
            seconds = {step: float(row[step]) for step in ("features", "score")}
            rows = decode_rows(row["rows"], job)
            yield ScoredShard(by_number[int(row["number"])], rows, seconds)
    except (ray.exceptions.RayError, ray.exceptions.UserCodeException) as error:
        told = f"Ray could not score the population: {error}"
        raise PotluckError(f"{told}; run `potluck nightly --resume`") from error
    finally:
        if started:
            ray.shutdown()


def run_on_ray(
    job: ScoringJob,
    shards: Sequence[Shard],
    workers: int,
) -> Iterator[dict[str, Any]]:
    ray.data.DataContext.get_current().enable_progress_bars = False
    items = [{"number": shard.number} for shard in shards]
    numbers = ray.data.from_items(items, override_num_blocks=len(shards))
    scored = numbers.map_batches(
        ShardScorer,
        fn_constructor_args=(job, list(shards)),
        batch_size=1,
        concurrency=workers,
        num_cpus=1,
    )
    rows: Iterator[dict[str, Any]] = iter(scored.iter_rows())
    return rows


def encode_rows(rows: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return bytes(sink.getvalue())


def decode_rows(content: bytes, job: ScoringJob) -> pa.RecordBatch:
    with pa.ipc.open_stream(content) as stream:
        table = stream.read_all().combine_chunks()
    batches = table.to_batches()
    if not batches:
        return pa.RecordBatch.from_pylist([], schema=scored_schema(job.contract))
    return batches[0]
