"""The outermost layer: request id, in-flight limit, metrics, and a log line for what nobody foresaw."""

import logging
import re
import time
import uuid

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from potluck.contract.errors import Overloaded
from serving.answers import error_answer
from serving.metrics import DURATION, IN_FLIGHT, REQUESTS

logger = logging.getLogger("potluck.serving")

REQUEST_ID = "x-request-id"
SENDABLE_ID = re.compile(r"[\x21-\x7e]{1,128}")


class Edge:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, max_in_flight: int) -> None:
        self.app = app
        self.max_in_flight = max_in_flight
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await Exchange(self, scope, receive, send).run()


class Exchange:
    """One request and its answer."""

    def __init__(self, edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        self.edge, self.scope, self.receive, self._send = edge, scope, receive, send
        self.request_id = taken_or_new(Headers(scope=scope).get(REQUEST_ID))
        self.status = 0
        scope.setdefault("state", {})["request_id"] = self.request_id

    async def run(self) -> None:
        started = time.perf_counter()
        self.edge.in_flight += 1
        IN_FLIGHT.inc()
        try:
            await self.answer()
        finally:
            self.edge.in_flight -= 1
            IN_FLIGHT.dec()
            endpoint, service = labels(self.scope)
            DURATION.labels(endpoint).observe(time.perf_counter() - started)
            REQUESTS.labels(endpoint, service, str(self.status or 499)).inc()

    async def answer(self) -> None:
        try:
            if self.edge.in_flight > self.edge.max_in_flight and not watched(self.scope):
                raise Overloaded("the server works on as many requests as it takes; ask again shortly")
            await self.edge.app(self.scope, self.receive, self.send)
        except Overloaded as error:
            await error_answer(error, self.request_id)(self.scope, self.receive, self.send)
        except Exception:
            logger.exception("request %s failed", self.request_id)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (REQUEST_ID.encode(), self.request_id.encode())]
        await self._send(message)


def taken_or_new(sent: str | None) -> str:
    """The caller's request id if it can be sent back as it is, else a new one."""
    return sent if sent is not None and SENDABLE_ID.fullmatch(sent) else uuid.uuid4().hex


def watched(scope: Scope) -> bool:
    """Whether a request is a probe's: those are answered however busy the server is."""
    return scope["path"] in ("/livez", "/readyz", "/metrics")


def labels(scope: Scope) -> tuple[str, str]:
    """Endpoint and service for the metrics, from a bounded set: an unknown path or service is no label of its own."""
    route = scope.get("route")
    return getattr(route, "path", "unknown"), scope["state"].get("service", "")
