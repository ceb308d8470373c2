"""A home that follows MLflow's registry: it takes champions, and drops what was retired.

The registry may be shared with other teams, so an error of one model does not stop the others.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from mlflow.entities.model_registry import RegisteredModel

from potluck.contract.errors import BundleError, MissingStepError, PotluckError
from potluck.contract.settings import Settings
from potluck.scoring.releases import Release, Releases
from training.projects import of_projects
from training.registry import CHAMPION, RETIRED_TAG, Registry
from training.tracking import reaching_mlflow, short_reason

FIRST_PAUSE, LONGEST_PAUSE = 30.0, 600.0
"""Seconds until a version that was not taken is fetched again."""


@dataclass(frozen=True)
class Pulled:
    """A champion that was taken, or one that was retired and is gone from this home."""

    service: str
    model_version: str
    changed: bool
    retired: bool = False


Version: TypeAlias = tuple[str, str]
"""Service and version."""


@dataclass
class Pull:
    """All champions of the registry: what was done, and what went wrong."""

    pulled: list[Pulled] = field(default_factory=list)
    unclear: list[PotluckError] = field(default_factory=list)
    """An error for each model of which MLflow does not say whose it is."""
    failed: dict[Version, PotluckError] = field(default_factory=dict)
    """Champions that were not taken; the earlier champion stays."""

    @property
    def errors(self) -> list[PotluckError]:
        return [*self.unclear, *self.failed.values()]


def pull_champions(
    settings: Settings, resting: Mapping[Version, PotluckError] | None = None
) -> Pull:
    """Take every champion of the registry into the home, and drop what was retired.

    An error of one service does not stop the others.

    Args:
        resting: versions that are not tried again yet, with what was wrong with them.

    Raises:
        MissingStepError: the registry knows no champion.
        ServiceUnreachable: MLflow does not answer.
    """
    with reaching_mlflow(settings):
        registry = Registry(settings)
        models, unclear = registry.models()
        pull = Pull(unclear=unclear)
        here = Releases(settings.releases).services()
        for model in models:
            version = (model.name, str(model.aliases.get(CHAMPION)))
            if resting and version in resting:
                pull.failed[version] = resting[version]
            else:
                try_pull(pull, version, partial(pull_champion, settings, registry, model, here))
    if not pull.pulled and not pull.errors:
        whose = of_projects(registry.projects)
        raise MissingStepError(
            f"MLflow's registry holds no champion{whose}; run `potluck train SERVICE` first"
        )
    return pull


def try_pull(pull: Pull, version: Version, work: Callable[[], Pulled | None]) -> None:
    """Do the work of one service, and note its error."""
    name = f"the champion of {version[0]} (version {version[1]})"
    try:
        done = work()
    except PotluckError as error:
        pull.failed[version] = BundleError(f"{name} was not taken: {error}")
    except Exception as error:  # each store of artifacts has errors of its own library
        told = f"{name} can't be fetched or written: {short_reason(error)}"
        pull.failed[version] = BundleError(told)
    else:
        if done is not None:
            pull.pulled.append(done)


def pull_champion(
    settings: Settings, registry: Registry, model: RegisteredModel, here: list[str]
) -> Pulled | None:
    """Take one model's champion, or drop it.

    Returns:
        None where there is no champion, and nothing to drop.
    """
    service, version = model.name, model.aliases.get(CHAMPION)
    releases = Releases(settings.releases)
    if version is None:
        if service not in here or RETIRED_TAG not in model.tags:
            return None
        return Pulled(service, releases.retire(service) or "", changed=True, retired=True)
    if releases.holds(service, str(version)):
        return Pulled(service, str(version), changed=False)
    releases.promote(fetch(settings, registry, service, str(version)))
    return Pulled(service, str(version), changed=True)


class Follower:
    """Pulls again and again; a version that was not taken is tried again, after growing pauses."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.clock = clock
        """Seconds of any origin."""
        self.pauses: dict[Version, float] = {}
        self.again_at: dict[Version, float] = {}
        self.failed: dict[Version, PotluckError] = {}

    def pull(self) -> Pull:
        """Do `pull_champions`, without the versions that failed a short time ago.

        Raises:
            As `pull_champions`.
        """
        now = self.clock()
        waiting = [version for version in self.failed if now < self.again_at[version]]
        resting = {version: self.failed[version] for version in waiting}
        found = pull_champions(self.settings, resting)
        for version in found.failed.keys() - resting.keys():
            pause = self.next_pause(version)
            self.pauses[version], self.again_at[version] = pause, now + pause
        self.failed = found.failed
        return found

    def next_pause(self, version: Version) -> float:
        """Return twice the last pause of a version, in seconds."""
        if version not in self.pauses:
            return FIRST_PAUSE
        return min(2 * self.pauses[version], LONGEST_PAUSE)


def fetch(settings: Settings, registry: Registry, service: str, version: str) -> Release:
    """Fetch a version's bundle, check it, and write it beside the champion's.

    Raises:
        BundleError: the version's artifact is no bundle, or one of another service or project.
    """
    releases = Releases(settings.releases)
    with tempfile.TemporaryDirectory() as folder:
        digest = releases.lay_down(registry.download(service, version, Path(folder)))
    release = Release(service, digest, version)
    contract = releases.contract(release)
    if contract.service != service:
        raise BundleError(
            f"version {version} of {service} is a bundle of {contract.service}; promote its own"
        )
    if registry.projects is not None and contract.project not in registry.projects:
        raise BundleError(
            f"version {version} of {service} is a bundle of project {contract.project}; "
            f"expected one{of_projects(registry.projects)}"
        )
    return release
