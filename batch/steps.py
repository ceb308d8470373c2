"""One nightly run: validate -> features -> score -> stage -> verify -> publish -> history -> prune.

A killed run leaves last night's predictions whole; the same run again converges, and with `resume` it scores nothing
twice.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
from feast import FeatureStore

from batch.admission import refuses_unknown
from batch.engines import ENGINES
from batch.failures import failures_in, rejected
from batch.history import History
from batch.lease import Lease
from batch.preflight import check_memory
from batch.profile import profile_of
from batch.prune import prune_slot
from batch.publish import NO_PROGRESS, Progress, new_pointer, predicted_rows, stage
from batch.runs import RunFolder, Runs, Status, now
from batch.score import ScoredShard, ScoringJob
from batch.summary import RunSummary, Task, new_manifest, run_id, summary_of
from batch.verify import (
    SAMPLE_ROWS,
    Outcome,
    must_hold,
    not_earlier,
    predicted,
    refuse,
    should_hold,
    spread,
    verify_staged,
)
from potluck.contract.accounting import LeftOut, account
from potluck.contract.errors import DataError, PotluckError, Refused
from potluck.contract.publication import Pointer
from potluck.contract.settings import Settings
from potluck.scoring.bundle import FUNCTIONS_FILE, MODEL_FILE
from potluck.scoring.releases import Releases
from potluck.stores.part import Shard
from potluck.stores.population import Population

PREFLIGHT_ROWS = 64
OVERRULE = '. If this is right, publish it with `potluck nightly --resume --force "the reason"`'


class NightlyRun:
    """One precomputed service, one as-of date."""

    def __init__(
        self,
        settings: Settings,
        store: FeatureStore,
        task: Task,
        as_of: datetime | None,
        progress: Progress = NO_PROGRESS,
        resume: bool = False,
        force: str | None = None,
    ) -> None:
        self.settings, self.store, self.task, self.progress, self.force = settings, store, task, progress, force
        self.contract, self.publication = task.model.contract, task.publication
        self.view = task.view(settings)
        self.runs = Runs(settings.home, self.publication.service)
        unfinished = self.runs.unfinished() if resume else None
        resumed = unfinished.as_of if unfinished else None
        self.nothing_to_resume = resume and unfinished is None and as_of is None
        self.as_of = (as_of or resumed or now().replace(microsecond=0)).astimezone(UTC)
        self.history = History(store, self.publication)

    def run(self) -> RunSummary:
        """
        Raises:
            Locked: another run of the service is at work, or took this one's lease over.
            MissingStepError: there is no population.
            Refused: verification said no; the last published run stays.
            ServiceUnreachable: Redis went away, or is full; the last published run stays.
        """
        with Lease(self.view.client, self.view.project, self.publication.view) as lease:
            self.lease = lease
            self.manifest = new_manifest(self.task, self.as_of, self.lease.token, forced=self.force)
            self.folder: RunFolder | None = None
            current = self.view.published()
            if self.nothing_to_resume and current is not None:
                return self.done_before(current)
            try:
                return self.steps()
            except PotluckError as error:
                self.end("refused" if isinstance(error, Refused) else "failed", str(error))
                raise

    def steps(self) -> RunSummary:
        with self.step("validate"):
            population = self.validated()
        current = self.view.published()
        if current is not None and self.is_done(current):
            return self.done_before(current)
        self.score(population)
        if current is None or current.run_id != self.manifest.run_id:
            current = self.published()
        elif self.earlier is not None and self.earlier.account is not None:
            self.manifest.account = self.earlier.account  # it also tells what Redis refused
        with self.step("history"):
            profile = profile_of(current.run_id, predicted(map(predicted_rows, self.tables())))
            self.history.write(self.tables(), current, profile)
        with self.step("prune"):
            self.manifest.pruned = prune_slot(self.view, self.tables(), current, self.lease)
        self.end("published")
        self.runs.tidy(self.manifest.run_id, self.settings.keep_runs)
        self.kept.drop_shards()
        return summary_of(self.task, current, "published", self.manifest, seconds=self.manifest.seconds)

    @property
    def kept(self) -> RunFolder:
        assert self.folder is not None
        return self.folder

    def validated(self) -> Population:
        """The population, looked over; its content names the run."""
        population = Population.of(self.store, self.task.champion, self.as_of)
        self.shards = population.shards(self.settings.nightly_shard_rows)
        self.rows = population.account(self.shards)
        self.manifest.population = self.rows.kept
        self.account_for()
        self.fingerprint = population.fingerprint()
        self.manifest.run_id = run_id(self.task.release, self.as_of, self.fingerprint)
        self.folder = self.runs.folder(self.manifest.run_id)
        self.earlier = self.folder.read()
        if refuses_unknown(self.contract):
            population.check_views_hold_records()
        return population

    def account_for(self, *left_out: LeftOut) -> None:
        """Note what became of the population's rows, the entities included that got no prediction."""
        rows = self.rows
        self.manifest.account = account(rows.table, rows.came, (*rows.left_out, *left_out))

    def is_done(self, current: Pointer) -> bool:
        """Whether this very run is published already, and came to its end."""
        ended = self.earlier is None or self.earlier.status == "published"
        return current.run_id == self.manifest.run_id and ended and self.history.profile(current) is not None

    def score(self, population: Population) -> None:
        """Score every shard that an interrupted run did not, and keep each as it comes."""
        shards = self.shards
        known = self.earlier.shards if self.earlier else {}
        whole = {shard.number for shard in shards if self.kept.holds(shard, known.get(shard.number))}
        self.manifest.shards = {number: known[number] for number in whole}
        self.manifest.resumed_shards = len(whole)
        self.begin("score")
        started, seconds = time.perf_counter(), {"features": 0.0, "score": 0.0}
        for shard in self.engine(population, [shard for shard in shards if shard.number not in whole]):
            self.keep(shard)
            for name, spent in shard.seconds.items():
                seconds[name] += spent
        share = (time.perf_counter() - started) / (sum(seconds.values()) or 1.0)
        self.manifest.seconds |= {name: round(spent * share, 3) for name, spent in seconds.items()}
        if population.fingerprint() != self.fingerprint:
            raise DataError("the sources changed while they were read; run `potluck nightly` again")
        self.count_failures()

    def engine(self, population: Population, shards: list[Shard]) -> Iterator[ScoredShard]:
        bundle = Releases(self.settings.releases).bundles / self.task.release.digest
        functions, model = (bundle / FUNCTIONS_FILE).read_text(), (bundle / MODEL_FILE).read_bytes()
        job = ScoringJob(self.contract, functions, model, population, self.as_of)
        return ENGINES[self.settings.nightly_engine](job, shards, self.settings.nightly_workers)

    def keep(self, shard: ScoredShard) -> None:
        self.lease.check()
        self.manifest.shards[shard.shard.number] = self.kept.keep(shard)
        self.kept.write(self.manifest)
        done = sum(record.rows for record in self.manifest.shards.values())
        self.progress("score", done, self.manifest.population)

    def count_failures(self) -> None:
        self.failures = failures_in(self.tables(), self.publication.key.name)
        self.manifest.failed_rows = sum(each.count for each in self.failures)
        self.account_for(*self.failures)

    def tables(self) -> Iterator[pa.Table]:
        return self.kept.tables(list(self.manifest.shards))

    def published(self) -> Pointer:
        """Write the idle slot, look at it, and have readers read it."""
        with self.step("stage"):
            rows = self.manifest.population - self.manifest.failed_rows
            current = self.view.release_idle_slot(self.lease)
            version = self.task.release.model_version
            occupied = self.view.occupied(current)
            pointer = new_pointer(occupied, self.manifest.run_id, self.as_of, version, rows)
            estimate = check_memory(self.view, self.sample(PREFLIGHT_ROWS), pointer, rows)
            self.manifest.notes = [estimate.unknown] if estimate.unknown else []
            staged = stage(self.view, self.tables(), pointer, self.lease, rows, self.progress)
            lost = rejected(staged, self.view, self.tables())
            self.account_for(*self.failures, lost)
        with self.step("verify"):
            self.verify(current, pointer, lost)
        with self.step("publish"):
            return self.view.switch(self.lease, replace(pointer, rows=rows - lost.count))

    def verify(self, current: Pointer | None, pointer: Pointer, lost: LeftOut) -> None:
        manifest = self.manifest
        outcome = Outcome(
            population=manifest.population,
            failures=self.failures,
            rejected=lost,
            values=predicted(map(predicted_rows, self.tables())),
        )
        last = self.history.profile(current) if current is not None else None
        required = must_hold(outcome)
        thresholds = not_earlier(self.as_of, current) + should_hold(outcome, last, self.settings)
        manifest.checks = required + thresholds
        refuse(required)
        if self.force is None:
            refuse(thresholds, OVERRULE)
        verify_staged(self.view, self.sample(SAMPLE_ROWS), pointer, lost.count)

    def sample(self, rows: int) -> pa.Table:
        """A few scored rows of every shard."""
        each = max(1, rows // len(self.manifest.shards))
        return pa.concat_tables([spread(predicted_rows(table), each) for table in self.tables()])

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.begin(name)
        started = time.perf_counter()
        yield
        self.manifest.seconds[name] = round(time.perf_counter() - started, 3)

    def begin(self, name: str) -> None:
        self.lease.check()
        self.manifest.step = name
        if self.folder is not None:
            self.folder.write(self.manifest)

    def end(self, status: Status, error: str | None = None) -> None:
        if self.folder is not None:
            self.manifest.status, self.manifest.error, self.manifest.finished_at = status, error, now()
            self.manifest.rows = self.manifest.account.kept if self.manifest.account else 0
            self.folder.write(self.manifest)

    def done_before(self, pointer: Pointer) -> RunSummary:
        return summary_of(self.task, pointer, "already done", self.runs.folder(pointer.run_id).read())
