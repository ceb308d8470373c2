"""The outermost layer: request id, in-flight limit, metrics, and a log line for what nobody foresaw."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from potluck.contract.errors import Overloaded, RequestError
from serving.answers import error_answer, unforeseen_answer
from serving.hot import Shortcut
from serving.metrics import IN_FLIGHT, request_metrics

logger = logging.getLogger("potluck.serving")

REPORT_SECONDS = 1.0
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
REQUEST_ID = b"x-request-id"
SENDABLE_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class Edge:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, shortcut: Shortcut, max_in_flight: int) -> None:
        self.app = app
        self.shortcut = shortcut
        self.max_in_flight = max_in_flight
        self.in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, send)
        self.in_flight += 1
        try:
            await self.endpoint(scope)(scope, receive, exchange.send)
        except RequestError as error:
            await error_answer(error, exchange.request_id)(scope, receive, exchange.send)
        except Exception:
            logger.exception("request %s failed", exchange.request_id)
            if not exchange.status:
                await unforeseen_answer(exchange.request_id)(scope, receive, exchange.send)
        finally:
            self.in_flight -= 1
            exchange.count()

    async def report(self) -> None:
        """Keep the gauge up to date until cancelled: at every request it would cost more than the request's id."""
        while True:
            IN_FLIGHT.set(self.in_flight)
            await asyncio.sleep(REPORT_SECONDS)

    def endpoint(self, scope: Scope) -> ASGIApp:
        """
        Raises:
            Overloaded: the worker works on as many requests as it takes; probes are answered all the same.
        """
        if self.in_flight > self.max_in_flight and scope["path"] not in PROBES:
            raise Overloaded("the server works on as many requests as it takes; ask again shortly")
        return self.shortcut.find(scope) or self.app


class Exchange:
    """One request and its answer."""

    __slots__ = ("_send", "request_id", "scope", "started", "status")

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope, self._send = scope, send
        self.started = time.perf_counter()
        self.request_id = request_id_of(scope["headers"])
        self.status = 0
        scope.setdefault("state", {})["request_id"] = self.request_id

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (REQUEST_ID, self.request_id.encode())]
        return self._send(message)

    def count(self) -> None:
        endpoint, service = labels(self.scope)
        requests, duration = request_metrics(endpoint, service, self.status or 499)
        duration.observe(time.perf_counter() - self.started)
        requests.inc()


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's request id if it can be sent back as it is, else a new one."""
    for name, value in headers:
        if name == REQUEST_ID and SENDABLE_ID.fullmatch(value):
            return value.decode()
    return f"{random.getrandbits(128):032x}"


def labels(scope: Scope) -> tuple[str, str]:
    """Endpoint and service for the metrics, from a bounded set: an unknown path or service is no label of its own."""
    route = scope.get("route")
    return getattr(route, "path", "unknown"), scope["state"].get("service", "")
