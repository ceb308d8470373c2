"""What /metrics says; with several workers, of all of them together."""

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from potluck.contract.errors import RequestError

MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

REQUESTS = Counter(
    "potluck_requests_total", "Answered requests.", ["endpoint", "service", "status"]
)
DURATION = Histogram(
    "potluck_request_seconds",
    "Seconds from a request's head to its answer.",
    ["endpoint"],
    buckets=SECONDS,
)
ROWS = Counter("potluck_predictions_total", "Predicted or looked-up rows.", ["service", "outcome"])
IN_FLIGHT = Gauge(
    "potluck_requests_in_flight", "Requests being worked on.", multiprocess_mode="livesum"
)
CONNECTIONS = Gauge("potluck_connections", "Open connections.", multiprocess_mode="livesum")
CLOSED = Counter("potluck_connections_closed_total", "Connections closed at a limit.", ["reason"])
REFUSED_BUNDLES = Counter(
    "potluck_bundles_refused_total", "Champions that did not pass their check.", ["service"]
)
CHAMPION_REFUSED = Gauge(
    "potluck_champion_refused",
    "1 while the service's champion can't be opened, so that another version or none answers.",
    ["service"],
    multiprocess_mode="livemax",
)

REFUSED_VALUES = Counter(
    "potluck_stored_values_refused_total",
    "Stored values that are damaged or of another type.",
    ["service"],
)


@cache
def rows_counter(service: str, outcome: str) -> Any:
    """Looked up by its labels once."""
    return ROWS.labels(service, outcome)


@cache
def request_metrics(endpoint: str, service: str, status: int) -> tuple[Any, Any]:
    """The counter and the histogram of such requests."""
    return REQUESTS.labels(endpoint, service, str(status)), DURATION.labels(endpoint)


def count(service: str, rows: Sequence[object]) -> None:
    """Count predicted or looked-up rows."""
    failed = sum(isinstance(row, RequestError) for row in rows)
    if failed:
        rows_counter(service, "error").inc(failed)
    if len(rows) > failed:
        rows_counter(service, "answered").inc(len(rows) - failed)


def exposition() -> tuple[bytes, str]:
    """The text of /metrics and its content type."""
    if MULTIPROCESS_FOLDER not in os.environ:
        return generate_latest(), CONTENT_TYPE_LATEST
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST
