"""The two calls that are made a thousand times a second: begun with a body, answered by a callback.

`serving.http.wire` carries them from the connection and back without a task, a scope or a router.
What it leaves alone (a body in chunks, a large one, an escaped path, another server than uvicorn)
comes here by way of the router.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, Protocol

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from potluck.contract.errors import BodyTooLarge, CallerLeft, RequestError
from serving.bodies.json_structure import LARGEST_RECORD
from serving.http.answers import Body, lookup_body, prediction_body, send_json
from serving.loop.tasks import logged
from serving.metrics import count
from serving.services.champions import Champions

Answered = Callable[[Body | RequestError], None]


class Target(NamedTuple):
    """What a call is about."""

    service: str
    entity_id: str
    request_id: str


class HotCall(Protocol):
    """One of the two calls."""

    path: str
    method: str

    def label(self, service: str) -> str:
        """The service for the metrics, nothing if there is none of that name."""

    def begin(self, target: Target, body: bytes, answered: Answered) -> None:
        """Begin; `answered` is called once, now or later.

        Raises:
            RequestError: the answer is known to be this error, and `answered` is not called.
        """


class PredictCall:
    """`POST /predict/{service}`: one record."""

    path, method = "/predict/{service}", "POST"

    def __init__(self, champions: Champions) -> None:
        self.champions = champions

    def label(self, service: str) -> str:
        return service if service in self.champions.live.predictors else ""

    def begin(self, target: Target, body: bytes, answered: Answered) -> None:
        predictor = self.champions.live.predictor(target.service)
        record = predictor.schema.read(body)
        if isinstance(record, RequestError):
            count(target.service, [record])
            raise record
        predictor.submit(
            record,
            lambda answer: answered(
                logged(answer, target.request_id)
                if isinstance(answer, RequestError)
                else prediction_body(predictor, answer, target.request_id)
            ),
        )


class LookupCall:
    """`GET /lookup/{service}/{entity_id}`: one precomputed prediction."""

    path, method = "/lookup/{service}/{entity_id:path}", "GET"  # a text key may hold a slash

    def __init__(self, champions: Champions) -> None:
        self.champions = champions

    def label(self, service: str) -> str:
        return service if service in self.champions.live.precomputed else ""

    def begin(self, target: Target, _body: bytes, answered: Answered) -> None:
        precomputed = self.champions.live.lookup(target.service)
        entity = precomputed.keys.check(target.entity_id)
        if isinstance(entity, RequestError):
            count(target.service, [entity])
            raise entity
        precomputed.submit(
            entity,
            lambda found: answered(
                logged(found, target.request_id)
                if isinstance(found, RequestError)
                else lookup_body(precomputed, *found, entity, target.request_id)
            ),
        )


class HotCalls:
    """Both calls, found by method and path."""

    def __init__(self, champions: Champions) -> None:
        self.predict, self.lookup = PredictCall(champions), LookupCall(champions)

    def known(self, service: str) -> str:
        """The service for the metrics, nothing if there is none of that name."""
        return self.predict.label(service) or self.lookup.label(service)

    def find(self, method: bytes, path: str, request_id: str) -> tuple[HotCall, Target] | None:
        """The call, if the path is one of the two as they are usually written."""
        if method == b"POST" and path.startswith("/predict/") and path.count("/") == 2:
            return self.predict, Target(path[9:], "", request_id)
        if method == b"GET" and path.startswith("/lookup/"):
            service, slash, entity = path[8:].partition("/")
            if slash and entity:
                return self.lookup, Target(service, entity, request_id)
        return None

    @property
    def routes(self) -> list[Route]:
        calls: tuple[HotCall, ...] = (self.predict, self.lookup)
        return [Route(call.path, Endpoint(call), methods=[call.method]) for call in calls]


class Endpoint:
    """A hot call as an ASGI application, behind a router."""

    def __init__(self, call: HotCall) -> None:
        self.call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["path_params"]
        target = Target(asked["service"], asked.get("entity_id", ""), scope["state"]["request_id"])
        scope["state"]["service"] = self.call.label(target.service)
        body = await read_body(receive, LARGEST_RECORD)
        outcome: asyncio.Future[Body | RequestError] = asyncio.get_running_loop().create_future()
        self.call.begin(
            target, body, lambda answer: None if outcome.done() else outcome.set_result(answer)
        )
        answer = await outcome
        if isinstance(answer, RequestError):
            raise answer
        await send_json(send, answer)


async def read_body(receive: Receive, largest: int) -> bytes:
    """The whole body, given up as soon as it is too large.

    Raises:
        BodyTooLarge: it is larger than `largest` bytes.
        CallerLeft: the connection ended before it was whole.
    """
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft("the connection ended before the body was whole")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > largest:
            raise BodyTooLarge(
                f"the body is larger than {largest} bytes; send fewer rows, or several calls"
            )
        more = message.get("more_body", False)
    return b"".join(parts)
