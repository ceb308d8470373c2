"""How old the published predictions are, told to those who scrape /metrics."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from prometheus_client.core import GaugeMetricFamily, Metric

from potluck.contract.publication import Pointer
from serving.gauges.store_metrics import StoreCollector
from serving.online.store import Call, Reply
from serving.services.champions import Champions


class PublicationAges(StoreCollector):
    """The last known pointer of every precomputed service that is live; it ages on while the store
    does not answer."""

    def __init__(self, champions: Champions, now: Callable[[], datetime]) -> None:
        self.champions, self.now = champions, now
        self.known: dict[str, Pointer | None] = {}

    def calls(self) -> dict[str, Call]:
        return {
            name: service.pointer_call for name, service in self.champions.live.precomputed.items()
        }

    def note(self, replies: Mapping[str, Reply]) -> None:
        precomputed = self.champions.live.precomputed
        for name, reply in replies.items():
            # An error tells nothing; and the service may have gone while the store was asked.
            if name in precomputed and (reply is None or isinstance(reply, bytes)):
                self.known[name] = precomputed[name].pointers[reply] if reply else None

    def collect(self) -> Iterable[Metric]:
        now = self.now()
        published = GaugeMetricFamily(
            "potluck_publication_age_seconds",
            "Seconds since the predictions that are read were published; +Inf while none are known "
            "to be.",
            labels=["service"],
        )
        as_of = GaugeMetricFamily(
            "potluck_publication_as_of_age_seconds",
            "Seconds since their as-of date.",
            labels=["service"],
        )
        for service in sorted(self.champions.live.precomputed):
            pointer = self.known.get(service)
            published.add_metric([service], math.inf if pointer is None else age(pointer, now))
            as_of.add_metric([service], math.inf if pointer is None else pointer.age_seconds(now))
        return [published, as_of]


def age(pointer: Pointer, now: datetime) -> float:
    """Seconds since readers were switched to it; since its as-of date where an earlier release
    published it."""
    if pointer.published_at is None:
        return pointer.age_seconds(now)
    return (now - pointer.published_at.astimezone(UTC)).total_seconds()
