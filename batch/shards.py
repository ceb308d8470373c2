"""Score a run's shards, except those that an interrupted run of the same name scored."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from batch.engines import ENGINES
from batch.failures import failures_in
from batch.opening import LeasedRun, OpenedRun
from batch.profile import Predicted
from batch.publish import predicted_rows
from batch.request import RunRequest
from batch.runs import RunFolder, ShardRecord
from batch.score import FAILURE, ScoringJob
from batch.verify import predictions_in, spread_rows
from potluck.contract.accounting import LeftOut
from potluck.contract.errors import DataError
from potluck.contract.publication import PREDICTION
from potluck.scoring.bundle import FUNCTIONS_FILE, MODEL_FILE
from potluck.scoring.releases import Releases
from potluck.stores.parquet.population import Population

SAMPLE_ROWS = 1_000


@dataclass(frozen=True)
class ScoredShards:
    """A run's predictions on disk, and what is known of them after one look at each file."""

    folder: RunFolder
    numbers: tuple[int, ...]
    population: int
    """Entities."""
    failures: tuple[LeftOut, ...]
    """Entities that could not be scored, by reason."""
    values: Predicted
    """What was predicted."""
    sample: pa.Table
    """About `SAMPLE_ROWS` rows with a prediction, at least one from each shard that has any."""

    @property
    def rows(self) -> int:
        """Entities with a prediction."""
        return self.population - sum(each.count for each in self.failures)

    def tables(self) -> Iterator[pa.Table]:
        """Read the shards in the order of their keys, one at a time."""
        return self.folder.tables(self.numbers)


def score_shards(run: LeasedRun, opened: OpenedRun) -> ScoredShards:
    """Score every shard that is not on disk yet, and write each as soon as it is scored.

    Raises:
        Locked: the lease is lost.
        DataError: the sources changed meanwhile.
    """
    journal = run.journal
    kept = find_kept(opened)
    journal.note_resumed(kept)
    journal.begin("score")
    journal.note_seconds(score_and_keep(run, opened, kept))
    if opened.population.fingerprint() != opened.fingerprint:
        raise DataError("the sources changed while they were read; run `potluck nightly` again")
    scored = survey(opened, run.request.task.publication.key.name)
    journal.note_failures(opened.rows, scored.failures)
    return scored


def find_kept(opened: OpenedRun) -> dict[int, ShardRecord]:
    """Find the shards that an interrupted run of this name scored, and whose files are whole."""
    if opened.earlier is None:
        return {}
    records = opened.earlier.shards
    shards = opened.shards
    whole = [each for each in shards if opened.folder.holds(each, records.get(each.number))]
    return {shard.number: records[shard.number] for shard in whole}


def score_and_keep(
    run: LeasedRun,
    opened: OpenedRun,
    kept: Mapping[int, ShardRecord],
) -> dict[str, float]:
    """Score the shards that are not kept.

    Returns:
        Step -> seconds. Workers do both steps at the same time, so that each step gets its share
        of the time that passed.
    """
    settings = run.request.settings
    waiting = [shard for shard in opened.shards if shard.number not in kept]
    job = new_job(run.request, opened.population)
    spent = {"features": 0.0, "score": 0.0}
    started = time.perf_counter()
    for shard in ENGINES[settings.nightly_engine](job, waiting, settings.nightly_workers):
        run.lease.check()
        done = run.journal.note_shard(opened.folder.keep(shard))
        run.request.progress("score", done, opened.rows.kept)
        for step, seconds in shard.seconds.items():
            spent[step] += seconds
    share = (time.perf_counter() - started) / (sum(spent.values()) or 1.0)
    return {name: seconds * share for name, seconds in spent.items()}


def new_job(request: RunRequest, population: Population) -> ScoringJob:
    bundle = Releases(request.settings.releases).bundles / request.task.release.digest
    return ScoringJob(
        contract=request.task.model.contract,
        functions=(bundle / FUNCTIONS_FILE).read_text(),
        model_text=(bundle / MODEL_FILE).read_bytes(),
        population=population,
        as_of=request.as_of,
    )


def survey(opened: OpenedRun, key: str) -> ScoredShards:
    """Read each shard once for all that later steps need to know of the whole."""
    numbers = tuple(shard.number for shard in opened.shards)
    sampled = max(1, SAMPLE_ROWS // len(numbers))
    failures, values, samples = [], [], []
    for table in opened.folder.tables(numbers):
        failures.append(table.select([key, FAILURE]).filter(table[FAILURE].is_valid()))
        rows = predicted_rows(table)
        values.append(rows.select([PREDICTION]))
        samples.append(spread_rows(rows, sampled))
    return ScoredShards(
        folder=opened.folder,
        numbers=numbers,
        population=opened.rows.kept,
        failures=failures_in(failures, key),
        values=predictions_in(values),
        sample=pa.concat_tables(samples),
    )
