"""Features that a champion looks up and that `potluck materialize` no longer writes: taken out, or
renamed.

Their stored values grow old, or are gone, and the model goes on with what is left. So they are
counted in /metrics, named in `GET /services/{service}`, and logged when they change.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from potluck.contract.features import FeatureContract
from potluck.contract.feed import feed_key, read_feed
from serving.gauges.store_metrics import StoreCollector
from serving.online.key_command import KeyCommand
from serving.online.store import Call, Reply
from serving.services.champions import Champions

logger = logging.getLogger("potluck.serving")

GET = KeyCommand("GET")


class FeaturesNotFed(StoreCollector):
    """Compares what the live champions look up with what was materialized last."""

    def __init__(self, champions: Champions) -> None:
        self.champions = champions
        self.lacking: dict[str, list[str]] = {}
        """Service -> what it no longer gets; not there while that is not known."""
        self.compared: tuple[object, Mapping[str, Reply]] | None = None
        """What was compared last: it is done again when something changed."""
        self.logged: dict[str, Sequence[str]] = {}

    def calls(self) -> dict[str, Call]:
        projects = {contract.project for contract in self.contracts.values()}
        return {project: (GET, feed_key(project).encode()) for project in sorted(projects)}

    def note(self, replies: Mapping[str, Reply]) -> None:
        champions = self.champions.live
        if self.compared == (champions, replies):
            return
        self.compared = champions, replies
        stored = {name: reply for name, reply in replies.items() if isinstance(reply, bytes)}
        feeds = {project: read_feed(text) for project, text in stored.items()}
        self.lacking = {}
        for service, contract in self.contracts.items():
            feed = feeds.get(contract.project)
            if feed is not None:
                self.lacking[service] = feed.lacks(contract)
        for service in self.lacking:
            self.log_change(service)

    @property
    def contracts(self) -> dict[str, FeatureContract]:
        """Of the services that look features up."""
        predictors = self.champions.live.predictors
        return {
            name: each.contract for name, each in sorted(predictors.items()) if each.contract.views
        }

    def of(self, service: str) -> list[str] | None:
        """As `view:feature`; None where it is not known."""
        return self.lacking.get(service)

    def log_change(self, service: str) -> None:
        """Say it once for each change; while the store does not answer nothing is known to have
        changed."""
        names = self.lacking[service]
        before = self.logged.get(service, [])
        if names == before:
            return
        self.logged[service] = names
        if names:
            logger.warning(
                "%s looks up what `potluck materialize` no longer writes: %s; train it again, or "
                "put the features back",
                service,
                ", ".join(names),
            )
        else:
            logger.info("%s gets all features again that it looks up", service)

    def collect(self) -> Iterable[Metric]:
        gauge = GaugeMetricFamily(
            "potluck_features_not_fed",
            "Features that the service looks up and the last materialize did not write.",
            labels=["service"],
        )
        for service, names in self.lacking.items():
            gauge.add_metric([service], len(names))
        return [gauge]
