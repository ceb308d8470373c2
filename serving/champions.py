"""The services that are live: the champions' bundles, swapped whole when another one is promoted."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from potluck.contract.errors import MissingStepError, PotluckError, ServiceNotFound
from potluck.scoring.releases import Release, Releases
from serving.metrics import REFUSED_BUNDLES
from serving.online import OnlineStore
from serving.precomputed import PrecomputedService
from serving.predictor import Predictor

logger = logging.getLogger("potluck.serving")

LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Live:
    """What the server answers with at one moment. A request keeps the one that it began with."""

    predictors: dict[str, Predictor] = field(default_factory=dict)
    precomputed: dict[str, PrecomputedService] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return sorted([*self.predictors, *self.precomputed])

    def predictor(self, service: str) -> Predictor:
        if service not in self.predictors:
            raise ServiceNotFound(f"no such service with a model; there are: {listed(self.predictors)}")
        return self.predictors[service]

    def lookup(self, service: str) -> PrecomputedService:
        if service not in self.precomputed:
            raise ServiceNotFound(f"no such precomputed service; there are: {listed(self.precomputed)}")
        return self.precomputed[service]

    def service(self, name: str) -> Predictor | PrecomputedService:
        found = self.precomputed.get(name) or self.predictors.get(name)
        if found is None:
            raise ServiceNotFound(f"no such service; there are: {listed(self.names)}")
        return found


def listed(services: Iterable[str]) -> str:
    return ", ".join(sorted(services)) or "none yet"


class Champions:
    """Follows the champions of a home."""

    def __init__(self, releases: Releases, store: OnlineStore) -> None:
        self.releases = releases
        self.store = store
        self.live = Live()
        self.refused: dict[str, Release | None] = {}
        self._stamp: object = None

    def refresh(self) -> None:
        """Open what was promoted since the last look; a bundle that does not pass leaves the old one in place."""
        stamp = self.releases.stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        predictors = {}
        for service in self.releases.services():
            predictor = self.current(service)
            if predictor is not None:
                predictors[service] = predictor
        self.live = Live(predictors, precomputed_services(predictors, self.store))

    def current(self, service: str) -> Predictor | None:
        old = self.live.predictors.get(service)
        try:
            release = self.releases.champion(service)
            if old is not None and old.release == release:
                return old
            predictor = Predictor(release, self.releases.open(release), self.store)
        except MissingStepError:
            return None
        except (PotluckError, OSError) as error:
            REFUSED_BUNDLES.labels(service).inc()
            goes_on = f"version {old.release.model_version} goes on serving" if old else "the service is not served"
            logger.error("refused the champion of %s: %s; %s", service, error, goes_on)
            return old
        logger.info("serving %s version %s (bundle %.12s)", service, release.model_version, release.digest)
        return predictor

    async def watch(self) -> None:
        """Look for promotions until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.refresh)
            except Exception:
                logger.exception("looking for promoted bundles failed; looking again in %.0f s", LOOK_SECONDS)


def precomputed_services(predictors: dict[str, Predictor], store: OnlineStore) -> dict[str, PrecomputedService]:
    return {
        publication.service: PrecomputedService(
            predictor.contract.project, predictor.contract.objective, publication, store
        )
        for predictor in predictors.values()
        for publication in predictor.contract.publications
    }
