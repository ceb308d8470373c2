"""The services that are live: the champions' bundles, swapped whole when another one is
promoted."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from potluck.contract.errors import BundleError, MissingStepError, PotluckError, ServiceNotFound
from potluck.scoring.releases import Releases
from serving.online.store import OnlineStore
from serving.services.precomputed import PrecomputedService
from serving.services.predictor import Predictor
from serving.services.refused_champions import Refusals

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
            raise ServiceNotFound(
                f"no such service with a model; there are: {listed(self.predictors)}"
            )
        return self.predictors[service]

    def lookup(self, service: str) -> PrecomputedService:
        if service not in self.precomputed:
            raise ServiceNotFound(
                f"no such precomputed service; there are: {listed(self.precomputed)}"
            )
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

    def __init__(
        self, releases: Releases, store: OnlineStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.releases = releases
        self.store = store
        self.live = Live()
        self.refusals = Refusals(clock)
        self._stamp: object = None
        self._failure = ""

    def refresh(self) -> None:
        """Open what was promoted since the last look.

        A bundle that does not pass leaves the old one in place.

        Raises:
            BundleError: the folder of champions is gone, while some are served.
            OSError: it can't be listed.
        """
        stamp = self.releases.stamp()
        if stamp is None and self.live.predictors:
            raise BundleError(f"{self.releases.champions} is gone; what is served goes on")
        due = [service for service in self.refusals.of if not self.waits(service)]
        if stamp == self._stamp and not due:
            return
        services = self.releases.services()
        self.drop_all_but(services)
        # Those that were refused come last: their check may take minutes, while the others go live.
        for service in sorted(services, key=self.refusals.of.__contains__):
            if not self.waits(service):
                self.take_up(service)
        self._stamp = stamp

    def waits(self, service: str) -> bool:
        return self.refusals.waits(service, self.releases.traces)

    def drop_all_but(self, services: list[str]) -> None:
        """Forget what was retired."""
        for service in [*self.refusals.of]:
            if service not in services:
                self.refusals.end(service)
        kept = {name: one for name, one in self.live.predictors.items() if name in services}
        if len(kept) < len(self.live.predictors):
            self.go_live(kept)

    def take_up(self, service: str) -> None:
        """Serve a service's champion, if it is another one than before and passes its check."""
        old = self.live.predictors.get(service)
        traces: object = None
        try:
            traces = self.releases.traces(service)
            release = self.releases.champion(service)
            if old is None or old.release != release:
                predictor = Predictor(release, self.releases.open(release), self.store)
                self.go_live({**self.live.predictors, service: predictor})
                logger.info(
                    "serving %s version %s (bundle %.12s)",
                    service,
                    release.model_version,
                    release.digest,
                )
        except MissingStepError:  # retired since it was listed: the next look drops it
            return
        except Exception as error:  # whatever it is, the other services go on
            is_foreseen = isinstance(error, PotluckError | OSError)
            said = str(error) if is_foreseen else f"{type(error).__name__}: {error}"
            goes_on = (
                f"version {old.release.model_version} goes on serving"
                if old
                else "the service is not served"
            )
            self.refusals.add(service, traces, said, goes_on)
        else:
            self.refusals.end(service)

    def go_live(self, predictors: dict[str, Predictor]) -> None:
        predictors = dict(sorted(predictors.items()))
        self.live = Live(predictors, precomputed_services(predictors, self.store))

    async def watch(self) -> None:
        """Look for promotions until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look)

    def look(self) -> None:
        """`refresh`; what fails is told once, until it is another failure or none."""
        failure = ""
        try:
            self.refresh()
        except Exception as error:  # whatever it is, the next look may succeed
            failure = f"{type(error).__name__}: {error}"
            if failure != self._failure:
                is_foreseen = isinstance(error, PotluckError | OSError)
                words = "looking for promoted bundles failed: %s; looking again every %.0f s"
                logger.error(words, failure, LOOK_SECONDS, exc_info=not is_foreseen)
        self._failure = failure


def precomputed_services(
    predictors: dict[str, Predictor], store: OnlineStore
) -> dict[str, PrecomputedService]:
    return {
        publication.service: PrecomputedService(
            predictor.contract.project, predictor.contract.objective, publication, store
        )
        for predictor in predictors.values()
        for publication in predictor.contract.publications
    }
