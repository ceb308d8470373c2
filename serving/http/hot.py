"""The two calls that are made a thousand times a second: begun with a body, answered by a callback.

`serving.http.wire` carries them from the connection and back without a task, a scope or a router.
What it leaves alone (a body in chunks, a large one, an escaped path, another server than uvicorn)
comes here by way of the router.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from potluck.contract.errors import BodyTooLarge, CallerLeft, RequestError
from serving.bodies.json_structure import LARGEST_RECORD
from serving.http.answers import Body, lookup_body, prediction_body, send_json
from serving.http.detail_bodies import extra_body
from serving.http.logged_rows import lookup_row, prediction_row
from serving.http.target import Target
from serving.log.recorder import Recorder
from serving.loop.tasks import logged
from serving.metrics import count
from serving.services.answer import Answer
from serving.services.answer_options import PLAIN, AnswerOptions, options_of_query
from serving.services.champions import Champions
from serving.services.precomputed import FoundRow

Answered = Callable[[Body | RequestError], None]


class HotCall(Protocol):
    """One of the two calls."""

    path: str
    method: str

    def label(self, service: str) -> str:
        """The service for the metrics, nothing if there is none of that name."""

    def options(self, query: bytes) -> AnswerOptions:
        """Read what the URL asks for besides.

        Raises:
            SchemaValidation: there is no such option.
        """

    def begin(self, target: Target, body: bytes, answered: Answered) -> None:
        """Begin; `answered` is called once, now or later.

        Raises:
            RequestError: the answer is known to be this error, and `answered` is not called.
        """


class PredictCall:
    """`POST /predict/{service}`: one record."""

    path, method = "/predict/{service}", "POST"

    def __init__(self, champions: Champions, recorder: Recorder) -> None:
        self.champions, self.recorder = champions, recorder

    def label(self, service: str) -> str:
        return service if service in self.champions.live.predictors else ""

    def options(self, query: bytes) -> AnswerOptions:
        return options_of_query(query)

    def begin(self, target: Target, body: bytes, answered: Answered) -> None:
        predictor = self.champions.live.predictor(target.service)
        record = predictor.schema.read(body)
        if isinstance(record, RequestError):
            count(target.service, [record])
            self.recorder.add(prediction_row(predictor, None, record, target))
            raise record

        def answer_with(answer: Answer | RequestError) -> None:
            self.recorder.add(prediction_row(predictor, record, answer, target))
            if isinstance(answer, RequestError):
                answered(logged(answer, target.request_id))
            else:
                body = prediction_body(predictor, answer, target.request_id)
                if target.options is not PLAIN:
                    body.update(extra_body(predictor, record, answer, target.options))
                answered(body)

        predictor.submit(record, answer_with)


class LookupCall:
    """`GET /lookup/{service}/{entity_id}`: one precomputed prediction."""

    path, method = "/lookup/{service}/{entity_id:path}", "GET"  # a text key may hold a slash

    def __init__(self, champions: Champions, recorder: Recorder) -> None:
        self.champions, self.recorder = champions, recorder

    def label(self, service: str) -> str:
        return service if service in self.champions.live.precomputed else ""

    def options(self, _query: bytes) -> AnswerOptions:
        return PLAIN

    def begin(self, target: Target, _body: bytes, answered: Answered) -> None:
        precomputed = self.champions.live.lookup(target.service)
        entity = precomputed.keys.check(target.entity_id)
        if isinstance(entity, RequestError):
            count(target.service, [entity])
            self.recorder.add(lookup_row(precomputed, None, entity, target))
            raise entity

        def answer_with(found: FoundRow) -> None:
            self.recorder.add(lookup_row(precomputed, entity, found, target))
            if isinstance(found, RequestError):
                answered(logged(found, target.request_id))
            else:
                answered(lookup_body(precomputed, *found, entity, target.request_id))

        precomputed.submit(entity, answer_with)


class HotCalls:
    """Both calls, found by method and path."""

    def __init__(self, champions: Champions, recorder: Recorder) -> None:
        self.predict = PredictCall(champions, recorder)
        self.lookup = LookupCall(champions, recorder)

    def known(self, service: str) -> str:
        """The service for the metrics, nothing if there is none of that name."""
        return self.predict.label(service) or self.lookup.label(service)

    def find(
        self, method: bytes, path: str, request_id: str, started: float
    ) -> tuple[HotCall, Target] | None:
        """The call, if the path is one of the two as they are usually written."""
        if method == b"POST" and path.startswith("/predict/") and path.count("/") == 2:
            return self.predict, Target(path[9:], "", request_id, started)
        if method == b"GET" and path.startswith("/lookup/"):
            service, slash, entity = path[8:].partition("/")
            if slash and entity:
                return self.lookup, Target(service, entity, request_id, started)
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
        asked, state = scope["path_params"], scope["state"]
        entity_id = asked.get("entity_id", "")
        options = self.call.options(scope["query_string"])
        target = Target(asked["service"], entity_id, state["request_id"], state["started"], options)
        state["service"] = self.call.label(target.service)
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
