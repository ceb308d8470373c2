"""What /metrics tells of the online store, read at each scrape by whichever worker answers it.

So it is right though no request came, it is the same from all workers, and a dead worker leaves no
stale file behind.
"""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from potluck.contract.errors import FeatureStoreUnavailable
from serving.online.store import Call, OnlineStore, Reply

logger = logging.getLogger("potluck.serving")

LOOK_SECONDS = 30.0


class StoreCollector(Collector):
    """Metrics that are made of what lies under some keys of the online store."""

    @abstractmethod
    def calls(self) -> dict[str, Call]:
        """What to ask the store for, each call under a name of the collector's own."""

    @abstractmethod
    def note(self, replies: Mapping[str, Reply]) -> None:
        """Take down the replies to the calls; there are none while the store does not answer."""


class StoreUp(Collector):
    """Whether the store answered at the last look."""

    def __init__(self) -> None:
        self.answered = False

    def collect(self) -> Iterable[Metric]:
        words = "1 while the online store answers, else 0."
        gauge = GaugeMetricFamily("potluck_online_store_up", words)
        gauge.add_metric([], float(self.answered))
        return [gauge]


class StoreMetrics:
    """Collectors that share one read of the store, and a registry."""

    def __init__(self, store: OnlineStore, *collectors: StoreCollector) -> None:
        self.store, self.collectors = store, collectors
        self.registry = CollectorRegistry()
        self.up = StoreUp()
        for collector in (self.up, *collectors):
            self.registry.register(collector)

    async def exposition(self) -> bytes:
        """Look, and say in Prometheus' words what is there."""
        await self.look()
        return generate_latest(self.registry)

    async def watch(self) -> None:
        """Look until cancelled, for those who read the log and scrape nothing."""
        while True:
            try:
                await self.look()
            except Exception:
                logger.exception(
                    "looking into the online store failed; looking again in %.0f s", LOOK_SECONDS
                )
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Have every collector note what the store holds now."""
        asked = [collector.calls() for collector in self.collectors]
        wanted = [call for calls in asked for call in calls.values()]
        try:
            replies = await self.store.read(wanted)
            self.up.answered = bool(wanted) or await self.store.answers()
        except FeatureStoreUnavailable:
            replies, self.up.answered = [], False
        rest = iter(replies)
        for collector, calls in zip(self.collectors, asked, strict=True):
            collector.note(dict(zip(calls, rest, strict=False)))
