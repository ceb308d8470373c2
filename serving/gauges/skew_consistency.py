"""How far served features agree with the offline store, as `potluck skew` found it last."""

import logging
from collections.abc import Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from potluck.contract.errors import PotluckError
from potluck.contract.settings import Settings
from potluck.inference_log.consistency import Consistency, read_consistency
from potluck.inference_log.layout import LogLayout
from serving.gauges.store_metrics import StoreCollector
from serving.online.store import Call, Reply

logger = logging.getLogger("potluck.serving")

NAME = "potluck_skew_consistency"
WORDS = "Share of served values that equal the offline store's, from the last `potluck skew`."


class SkewConsistency(StoreCollector):
    """The consistency of each service of which a value was compared."""

    def __init__(self, settings: Settings) -> None:
        self.path = LogLayout(settings.home).skew
        self.found: Consistency | None = None

    def calls(self) -> dict[str, Call]:
        return {}

    def note(self, _: Mapping[str, Reply]) -> None:
        try:
            self.found = read_consistency(self.path)
        except (OSError, PotluckError) as error:
            self.found = None
            logger.error("the outcome of the last `potluck skew` can't be read: %s", error)

    def collect(self) -> Iterable[Metric]:
        if self.found is None:
            return []
        gauge = GaugeMetricFamily(NAME, WORDS, labels=["service"])
        for service, each in self.found.services.items():
            if each.consistency is not None:
                gauge.add_metric([service], each.consistency)
        return [gauge]
