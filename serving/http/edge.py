"""The outermost layer: request id, in-flight limit, metrics, and a log line for what nobody
foresaw."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.routing import Match, Router
from starlette.types import Message, Receive, Scope, Send

from potluck.contract.errors import Overloaded, RequestError
from potluck.contract.settings import Settings
from serving.bodies.body_memory import Bodies
from serving.http.answers import error_answer
from serving.http.connections import Connections
from serving.http.hot import HotCalls
from serving.http.overload import BUSY, RefusedCalls
from serving.loop.tasks import answer_to, logged
from serving.metrics import IN_FLIGHT, request_metrics

REPORT_SECONDS = 1.0
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
REQUEST_ID = b"x-request-id"
CUTS_SHORT = "potluck.cuts_short"
"""In a scope's state, from the protocol: see `serving.http.wire`."""
SENDABLE_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class Exchange:
    """One request and its answer, as they are told to the log and to the metrics."""

    __slots__ = ("endpoint", "method", "request_id", "service", "started", "status")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.started = time.perf_counter()
        self.request_id = request_id_of(headers)
        self.endpoint, self.service, self.status = "unknown", "", 0
        self.method = ""


class Edge:
    """Wraps the application."""

    def __init__(self, app: FastAPI, hot: HotCalls, settings: Settings) -> None:
        self.app = app
        self.hot = hot
        self.max_in_flight = settings.max_in_flight
        self.in_flight = 0
        self.connections = Connections(settings)
        self.bodies = Bodies(settings.max_body_bytes)
        self.refused_calls = RefusedCalls(self.note_refused)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope["headers"])
        state = scope.setdefault("state", {})
        state["request_id"], state["started"] = exchange.request_id, exchange.started
        reply = Reply(exchange, send, scope["state"].get(CUTS_SHORT, never))
        try:
            self.enter(probe=scope["path"] in PROBES)
            with self.bodies.body(receive) as body:
                await self.app(scope, partial(self.aside, body.receive), reply.send)
        except RequestError as error:
            await error_answer(error, exchange.request_id)(scope, receive, reply.send)
        except Exception as error:
            failure = logged(answer_to(error), exchange.request_id)
            if not exchange.status:
                await error_answer(failure, exchange.request_id)(scope, receive, reply.send)
        finally:
            exchange.endpoint, exchange.service = self.labels(scope)
            exchange.method = scope["method"]
            self.leave(exchange)

    def labels(self, scope: Scope) -> tuple[str, str]:
        """Endpoint and service for the metrics: an unknown one is no label of its own."""
        if "route" in scope:
            return scope["route"].path, scope["state"].get("service", "")
        asked = matched(self.app.router, scope)  # it was refused before a route was asked for
        service = asked.get("path_params", {}).get("service", "")
        return getattr(asked.get("route"), "path", "unknown"), self.hot.known(service)

    def enter(self, probe: bool = False) -> None:
        """Let a request in; `leave` follows whatever comes of it.

        Args:
            probe: those are answered however busy the worker is.

        Raises:
            Overloaded: the worker works on as many requests as it takes.
        """
        self.in_flight += 1
        if self.in_flight > self.max_in_flight and not probe:
            raise Overloaded(BUSY)

    def is_full(self) -> bool:
        return self.in_flight >= self.max_in_flight

    async def aside(self, receive: Receive) -> Message:
        """Receive a part of a body; a request that waits for its caller is none that is worked on.

        Raises:
            Overloaded: as `enter` does, when the body is whole.
        """
        self.in_flight -= 1
        try:
            message = await receive()
        finally:
            self.in_flight += 1
        if self.in_flight > self.max_in_flight and not message.get("more_body", False):
            raise Overloaded(BUSY)
        return message

    def leave(self, exchange: Exchange) -> None:
        self.in_flight -= 1
        requests, duration = request_metrics(
            exchange.endpoint, exchange.service, exchange.status or 499
        )
        duration.observe(time.perf_counter() - exchange.started)
        requests.inc()

    def note_refused(self, exchange: Exchange) -> None:
        """Take note of a hot call that was refused; its metrics are counted elsewhere."""

    async def report(self) -> None:
        """Keep the gauge up to date until cancelled: at every request it would cost more than the
        request's id."""
        while True:
            IN_FLIGHT.set(self.in_flight)
            self.refused_calls.report()
            await self.bodies.give_back()
            await asyncio.sleep(REPORT_SECONDS)


class Reply:
    """The way back: notes the status, adds the request id, and says so where the connection ends.

    Args:
        cuts_short: whether the answer comes before the body has.
    """

    def __init__(self, exchange: Exchange, send: Send, cuts_short: Callable[[], bool]) -> None:
        self.exchange, self._send, self.cuts_short = exchange, send, cuts_short

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.exchange.status = message["status"]
            request_id = (REQUEST_ID, self.exchange.request_id.encode())
            message["headers"] = [*message.get("headers", ()), request_id]
            if self.cuts_short():
                message["headers"].append((b"connection", b"close"))
        return self._send(message)


def never() -> bool:
    return False


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's request id if it can be sent back as it is, else a new one."""
    for name, value in headers:
        if name == REQUEST_ID and SENDABLE_ID.fullmatch(value):
            return value.decode()
    return new_request_id()


def new_request_id() -> str:
    return f"{random.getrandbits(128):032x}"


def edge_of(app: Any) -> Edge:
    """The edge of an application, also where uvicorn wrapped it.

    Raises:
        TypeError: it has none.
    """
    while not isinstance(app, Edge):
        app = getattr(app, "app", None)
        if app is None:
            raise TypeError(
                "expected the application of serving.app.create_app behind this protocol"
            )
    return app


def matched(router: Router, scope: Scope) -> Scope:
    """What the router would add: `route` and `path_params`; nothing where there is no such path."""
    for route in router.routes:
        match, found = route.matches(scope)
        if match is not Match.NONE:
            return {"route": route, **found}
    return {}
