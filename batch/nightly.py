"""One nightly run, step by step. A killed run leaves last night's predictions whole; the same run again converges."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from feast import FeatureStore

from batch.history import write_history
from batch.publish import publish, stage
from batch.score import Scores, score_population
from batch.verify import verify_scores, verify_staged
from potluck.contract.errors import MissingStepError
from potluck.contract.features import Publication
from potluck.contract.lock import exclusive
from potluck.contract.publication import Pointer
from potluck.contract.settings import Settings
from potluck.scoring.bundle import Model
from potluck.scoring.releases import Release, Releases
from potluck.stores.embedded_redis import client, ensure_redis
from potluck.stores.repo import open_store

Progress = Callable[[str, int, int], None]
"""Called with a step's name, rows done and rows in all."""


@dataclass(frozen=True)
class RunSummary:
    """What one service's nightly run did."""

    service: str
    scored_by: str
    model_version: str
    run_id: str
    as_of: datetime
    rows: int
    failed_rows: int
    failures: tuple[str, ...] = ()
    """The first failed rows, with their reasons."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Step -> seconds."""


def run_nightly(
    settings: Settings, as_of: datetime, progress: Progress = lambda step, done, total: None
) -> list[RunSummary]:
    """Score and publish every precomputed service of the repo whose model has a champion.

    Args:
        as_of: which records are visible, and the request time of defaults that stand for one.

    Raises:
        Locked: another run of this home is at work.
        MissingStepError: there is no champion, or no population.
        Refused: verification said no; the last published run stays.
    """
    with exclusive(settings.home / "nightly.lock", "another nightly run of this home is at work; let it finish"):
        ensure_redis(settings)
        store = open_store(settings.repo)
        jobs = list(publications(settings, store.project))
        if not jobs:
            raise MissingStepError(
                f"no champion of {store.project} fills a precomputed service; run `potluck train` for the service "
                "that it is scored_by"
            )
        return [NightlyRun(settings, store, *job, as_of.astimezone(UTC), progress).run() for job in jobs]


def publications(settings: Settings, project: str) -> Iterator[tuple[Release, Model, Publication]]:
    """Every precomputed service of a project with the champion that fills it."""
    releases = Releases(settings.releases)
    for service in releases.services():
        release = releases.champion(service)
        model = releases.open(release)
        if model.contract.project == project:
            yield from ((release, model, publication) for publication in model.contract.publications)


class NightlyRun:
    """One precomputed service, one as-of date."""

    def __init__(
        self,
        settings: Settings,
        store: FeatureStore,
        release: Release,
        model: Model,
        publication: Publication,
        as_of: datetime,
        progress: Progress,
    ) -> None:
        self.store = store
        self.release = release
        self.model = model
        self.publication = publication
        self.as_of = as_of
        self.progress = progress
        self.client = client(settings)
        self.seconds: dict[str, float] = {}

    def run(self) -> RunSummary:
        with self.step("score"):
            scores = score_population(self.store, self.model, self.as_of, self.progress)
        with self.step("verify"):
            verify_scores(scores)
        pointer = self.staged(scores)
        with self.step("publish"):
            publish(self.client, self.model.contract.project, self.publication, pointer)
        with self.step("history"):
            write_history(self.store, self.publication, scores, pointer)
        return self.summary(scores, pointer)

    def staged(self, scores: Scores) -> Pointer:
        """Write the idle slot and read a sample of it back."""
        project = self.model.contract.project
        with self.step("stage"):
            version = self.release.model_version
            pointer = stage(self.client, project, self.publication, scores, version, self.progress)
        with self.step("read back"):
            verify_staged(self.client, project, self.publication, scores, pointer)
        return pointer

    def summary(self, scores: Scores, pointer: Pointer) -> RunSummary:
        return RunSummary(
            service=self.publication.service,
            scored_by=self.release.service,
            model_version=self.release.model_version,
            run_id=pointer.run_id,
            as_of=self.as_of,
            rows=len(scores.keys),
            failed_rows=len(scores.failures),
            failures=tuple(f"{key}: {reason}" for key, reason in scores.failures[:20]),
            seconds=self.seconds,
        )

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)
