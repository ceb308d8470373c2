"""The two calls that are made a thousand times a second, as plain ASGI endpoints, and a short way to them.

The router knows them too, and would find them; its walk over the routes alone takes longer than all of their work.
"""

from collections.abc import Sequence
from typing import Any

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from potluck.contract.errors import BodyTooLarge, RequestError
from serving.answers import lookup_body, prediction_body, send_json
from serving.champions import Champions
from serving.metrics import count

LARGEST_BODY = 1 << 20


class Predict:
    """`POST /predict/{service}`: one record."""

    def __init__(self, champions: Champions) -> None:
        self.champions = champions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = scope["path_params"]["service"]
        predictor = self.champions.live.predictor(service)
        scope["state"]["service"] = service
        record = predictor.schema.read(await read_body(receive, LARGEST_BODY))
        if isinstance(record, RequestError):
            count(service, [record])
            raise record
        answer = await predictor.predict_one(record)
        if isinstance(answer, RequestError):
            raise answer
        await send_json(send, prediction_body(predictor, answer, scope["state"]["request_id"]))


class Lookup:
    """`GET /lookup/{service}/{entity_id}`: one precomputed prediction."""

    def __init__(self, champions: Champions) -> None:
        self.champions = champions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = scope["path_params"]["service"]
        precomputed = self.champions.live.lookup(service)
        scope["state"]["service"] = service
        entity = precomputed.keys.check(scope["path_params"]["entity_id"])
        if isinstance(entity, RequestError):
            count(service, [entity])
            raise entity
        pointer, row = await precomputed.lookup_one(entity)
        if isinstance(row, RequestError):
            raise row
        await send_json(send, lookup_body(precomputed, pointer, row, entity, scope["state"]["request_id"]))


def hot_routes(champions: Champions) -> list[Route]:
    return [
        Route("/predict/{service}", Predict(champions), methods=["POST"]),
        Route("/lookup/{service}/{entity_id:path}", Lookup(champions), methods=["GET"]),  # a text key may hold a slash
    ]


class Shortcut:
    """From a request to its hot endpoint, past the router."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.predict, self.lookup = routes

    def find(self, scope: Scope) -> ASGIApp | None:
        """The endpoint, with the scope as the router would leave it; None if the router is to be asked."""
        method, path = scope["method"], scope["path"]
        if method == "POST" and path.startswith("/predict/") and path.count("/") == 2:
            return taken(scope, self.predict, {"service": path[9:]})
        if method == "GET" and path.startswith("/lookup/"):
            service, slash, entity = path[8:].partition("/")
            if slash and entity:
                return taken(scope, self.lookup, {"service": service, "entity_id": entity})
        return None


def taken(scope: Scope, route: Route, path_params: dict[str, Any]) -> ASGIApp:
    scope["route"], scope["path_params"] = route, path_params
    return route.app


async def read_body(receive: Receive, largest: int) -> bytes:
    """The whole body, given up as soon as it is too large.

    Raises:
        BodyTooLarge: it is larger than `largest` bytes.
    """
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body") and size <= largest:
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        body = b"".join(parts)
    if len(body) > largest:
        raise BodyTooLarge(f"the body is larger than {largest} bytes; send fewer rows, or several calls")
    return body
