"""A night: the run of every precomputed service whose model has a champion, or the way back from it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from feast import FeatureStore

from batch.lease import Lease
from batch.publish import NO_PROGRESS, Progress
from batch.runs import RunFolder, Runs
from batch.steps import NightlyRun
from batch.summary import RunSummary, Task, summary_of
from potluck.contract.errors import MissingStepError, PotluckError
from potluck.contract.settings import Settings
from potluck.scoring.releases import Releases
from potluck.stores.embedded_redis import ensure_redis
from potluck.stores.repo import open_store


@dataclass
class Night:
    """All services of a repo: what was done, and what went wrong; one service's error keeps no other from its run."""

    runs: list[RunSummary] = field(default_factory=list)
    errors: list[PotluckError] = field(default_factory=list)


def run_nightly(
    settings: Settings,
    as_of: datetime | None,
    progress: Progress = NO_PROGRESS,
    resume: bool = False,
    force: str | None = None,
) -> Night:
    """Score and publish every precomputed service of the repo whose model has a champion.

    Args:
        as_of: which records are visible, and the request time of defaults that stand for one. None is now, or
            that of the run to resume.
        resume: take over what the last run scored, if it came to no end.
        force: why thresholds that do not hold are overruled.

    Raises:
        MissingStepError: there is no champion.
    """
    store, tasks = prepare(settings)
    return each(tasks, lambda task: NightlyRun(settings, store, task, as_of, progress, resume, force).run())


def roll_back(settings: Settings) -> Night:
    """Have readers of every precomputed service of the repo read the run before, at once."""
    _, tasks = prepare(settings)
    return each(tasks, lambda task: roll_back_one(settings, task))


def prepare(settings: Settings) -> tuple[FeatureStore, list[Task]]:
    ensure_redis(settings)
    store = open_store(settings.repo)
    tasks = list(publications(settings, store.project))
    if not tasks:
        raise MissingStepError(
            f"no champion of {store.project} fills a precomputed service; run `potluck train` for the service "
            "that it is scored_by"
        )
    return store, tasks


def each(tasks: list[Task], run: Callable[[Task], RunSummary]) -> Night:
    night = Night()
    for task in tasks:
        try:
            night.runs.append(run(task))
        except PotluckError as error:
            night.errors.append(error)
    return night


def publications(settings: Settings, project: str) -> Iterator[Task]:
    """Every precomputed service of a project with the champion that fills it."""
    releases = Releases(settings.releases)
    for service in releases.services():
        release = releases.champion(service)
        model = releases.open(release)
        if model.contract.project == project:
            yield from (Task(release, model, publication) for publication in model.contract.publications)


def roll_back_one(settings: Settings, task: Task) -> RunSummary:
    view = task.view(settings)
    with Lease(view.client, view.project, view.publication.view) as lease:
        undone = view.published()
        pointer = view.roll_back(lease)
    runs = Runs(settings.home, task.publication.service)
    if undone is not None:
        mark_rolled_back(runs.folder(undone.run_id))
    return summary_of(task, pointer, "rolled back", runs.folder(pointer.run_id).read())


def mark_rolled_back(folder: RunFolder) -> None:
    manifest = folder.read()
    if manifest is not None:
        manifest.status = "rolled back"
        folder.write(manifest)
