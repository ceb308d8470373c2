"""The rows of the inference log, told to those who scrape /metrics."""

import logging
from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from potluck.contract.errors import PotluckError
from potluck.contract.settings import Settings
from potluck.inference_log.layout import LogLayout, segments_bytes
from potluck.inference_log.progress import read_progress
from potluck.inference_log.totals import Totals, count_totals
from serving.gauges.store_metrics import StoreCollector
from serving.online.store import Call, Reply

logger = logging.getLogger("potluck.serving")

ROWS = "potluck_inference_log_rows"
WAITING = "potluck_inference_log_waiting_rows"
SEGMENTS = "potluck_inference_log_segment_bytes"


class InferenceLogRows(StoreCollector):
    """What became of every row that the workers of this home answered, living and ended."""

    def __init__(self, settings: Settings) -> None:
        self.layout = LogLayout(settings.home)
        self.is_on = settings.inference_log
        self.totals: Totals | None = None
        self.segments_bytes = 0

    def calls(self) -> dict[str, Call]:
        return {}

    def note(self, _: Mapping[str, Reply]) -> None:
        if not self.is_on:
            return
        try:
            self.totals = count_totals(self.layout, read_progress(self.layout.decoded))
            self.segments_bytes = segments_bytes(self.layout)
        except (OSError, PotluckError) as error:
            self.totals = None
            logger.error("the inference log's counters can't be read: %s", error)

    def collect(self) -> Iterable[Metric]:
        if self.totals is None:
            return []
        rows = CounterMetricFamily(
            ROWS,
            "Answered rows by outcome: answered = logged + dropped + lost.",
            labels=["outcome"],
        )
        totals = self.totals
        for outcome in ("answered", "logged", "dropped", "lost"):
            rows.add_metric([outcome], getattr(totals, outcome))
        waiting = GaugeMetricFamily(WAITING, "Answered rows that are not decoded yet.")
        waiting.add_metric([], totals.waiting)
        size = GaugeMetricFamily(SEGMENTS, "Bytes of rows that are not decoded yet, on disk.")
        size.add_metric([], self.segments_bytes)
        return [rows, waiting, size]
