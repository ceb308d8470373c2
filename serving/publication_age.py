"""How old the published predictions are, told to those who scrape /metrics.

The pointers are read from the online store at each scrape, by whichever worker answers it: so the age is right though
nobody looked anything up, it is the same from all workers, and a dead worker leaves no stale file behind.
"""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from potluck.contract.errors import FeatureStoreUnavailable
from potluck.contract.publication import Pointer
from serving.champions import Champions
from serving.online import OnlineStore
from serving.precomputed import PrecomputedService


class PublicationAges(Collector):
    """The last known pointer of every precomputed service that is live."""

    def __init__(self, champions: Champions, store: OnlineStore, now: Callable[[], datetime]) -> None:
        self.champions, self.store, self.now = champions, store, now
        self.known: dict[str, Pointer | None] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)

    async def exposition(self) -> bytes:
        """Look at the pointers, in one read, and put their ages in Prometheus' words.

        While the store does not answer the last known pointers age on.
        """
        services = list(self.champions.live.precomputed.values())
        try:
            replies = await self.store.read([service.pointer_call for service in services])
        except FeatureStoreUnavailable:
            replies = []
        for service, reply in zip(services, replies, strict=False):
            self.note(service, reply)
        return generate_latest(self.registry)

    def note(self, service: PrecomputedService, reply: object) -> None:
        if reply is None or isinstance(reply, bytes):  # else an error, which tells nothing
            self.known[service.publication.service] = service.pointers[reply] if reply else None

    def collect(self) -> Iterable[Metric]:
        now = self.now()
        published = GaugeMetricFamily(
            "potluck_publication_age_seconds",
            "Seconds since the predictions that are read were published; +Inf while none are known to be.",
            labels=["service"],
        )
        as_of = GaugeMetricFamily(
            "potluck_publication_as_of_age_seconds", "Seconds since their as-of date.", labels=["service"]
        )
        for service in sorted(self.champions.live.precomputed):
            pointer = self.known.get(service)
            published.add_metric([service], math.inf if pointer is None else age(pointer, now))
            as_of.add_metric([service], math.inf if pointer is None else pointer.age_seconds(now))
        return [published, as_of]


def age(pointer: Pointer, now: datetime) -> float:
    """Seconds since readers were switched to it; since its as-of date where an earlier release published it."""
    if pointer.published_at is None:
        return pointer.age_seconds(now)
    return (now - pointer.published_at.astimezone(UTC)).total_seconds()
