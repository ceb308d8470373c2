"""How old the stored features are that live champions read, told to those who scrape /metrics."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from prometheus_client.core import GaugeMetricFamily, Metric

from potluck.contract.feed import Feed, feed_key, read_feed
from serving.gauges.store_metrics import StoreCollector
from serving.online.key_command import KeyCommand
from serving.online.store import Call, Reply
from serving.services.champions import Champions

GET = KeyCommand("GET")


class MaterializationAges(StoreCollector):
    """The last known feed of every project; its views age on while the store does not answer."""

    def __init__(self, champions: Champions, now: Callable[[], datetime]) -> None:
        self.champions, self.now = champions, now
        self.known: dict[str, Feed | None] = {}

    @property
    def views(self) -> list[tuple[str, str]]:
        """Project and name of each view that is read."""
        contracts = [predictor.contract for predictor in self.champions.live.predictors.values()]
        read = {(each.project, view.name) for each in contracts for view in each.views}
        return sorted(read)

    def calls(self) -> dict[str, Call]:
        return {project: (GET, feed_key(project).encode()) for project, _ in self.views}

    def note(self, replies: Mapping[str, Reply]) -> None:
        for project, reply in replies.items():
            if reply is None or isinstance(reply, bytes):  # an error tells nothing
                self.known[project] = read_feed(reply)

    def collect(self) -> Iterable[Metric]:
        gauge = GaugeMetricFamily(
            "potluck_materialization_age_seconds",
            "Seconds since a view that is read was last materialized; +Inf while that is not "
            "known.",
            labels=["project", "view"],
        )
        for project, view in self.views:
            feed = self.known.get(project)
            moment = feed.moment_of(view) if feed else None
            gauge.add_metric([project, view], math.inf if moment is None else self.age(moment))
        return [gauge]

    def age(self, moment: datetime) -> float:
        return (self.now() - moment.astimezone(UTC)).total_seconds()
