"""The access log: a line for each answer, with nothing in it that the caller chose but the request
id.

Its route is the pattern, its service one that there is; no path, no query, no id of an entity.
"""

import logging
import time
from typing import Any

from potluck.contract.settings import Settings
from serving.http.edge import Edge, Exchange

logger = logging.getLogger("potluck.access")


def edge_for(settings: Settings) -> type[Edge]:
    """The edge to wrap the application with: who wants no access log pays nothing for it."""
    if not settings.access_log:
        return Edge
    logger.setLevel(
        logging.INFO
    )  # asked for by a setting of its own, whatever the level of the rest
    return LoggedEdge


class LoggedEdge(Edge):
    """An edge that tells each answer."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        hot = (self.hot.predict, self.hot.lookup)
        self.methods = {call.path: call.method for call in hot}
        """Of the short way, which keeps no scope."""

    def leave(self, exchange: Exchange) -> None:
        super().leave(exchange)
        self.log(exchange)

    def note_refused(self, exchange: Exchange) -> None:
        self.log(exchange)

    def log(self, exchange: Exchange) -> None:
        seconds = time.perf_counter() - exchange.started
        method = exchange.method or self.methods[exchange.endpoint]
        told = {
            "method": method,
            "route": exchange.endpoint,
            "service": exchange.service,
            "status": exchange.status or 499,
            "milliseconds": round(seconds * 1000, 3),
        }
        logger.info("answered", extra={"request_id": exchange.request_id, **told})
