"""The tasks of a night: the precomputed services of a repo, and the champions that fill them."""

from collections.abc import Iterator
from dataclasses import dataclass

from feast import FeatureStore

from batch.view import View
from potluck.contract.champion import Champion
from potluck.contract.errors import MissingStepError
from potluck.contract.publication import Publication
from potluck.contract.settings import Settings
from potluck.redis.embedded import client, ensure_redis
from potluck.scoring.model import Model
from potluck.scoring.releases import Release, Releases
from potluck.stores.definitions.repo import open_store


@dataclass(frozen=True)
class Task:
    """One precomputed service and the champion that fills it."""

    release: Release
    model: Model
    publication: Publication

    @property
    def champion(self) -> Champion:
        return Champion(self.release.model_version, self.model.contract)

    def view(self, settings: Settings) -> View:
        return View(client(settings), self.model.contract.project, self.publication)


def open_tasks(settings: Settings) -> tuple[FeatureStore, list[Task]]:
    """Open the repo's store, and find what a night has to do.

    Raises:
        MissingStepError: no champion fills a precomputed service.
    """
    ensure_redis(settings)
    store = open_store(settings.repo)
    tasks = list(find_tasks(settings, store.project))
    if not tasks:
        raise MissingStepError(
            f"no champion of {store.project} fills a precomputed service; run `potluck train` "
            "for the service that it is scored_by"
        )
    return store, tasks


def find_tasks(settings: Settings, project: str) -> Iterator[Task]:
    """Find every precomputed service of a project, with the champion that fills it."""
    releases = Releases(settings.releases)
    for service in releases.services():
        release = releases.champion(service)
        model = releases.open(release)
        if model.contract.project == project:
            for publication in model.contract.publications:
                yield Task(release, model, publication)
