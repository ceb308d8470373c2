"""The calls of the HTTP contract, but for the two that stand in `hot`."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.gauges.store_metrics import StoreMetrics
from serving.http.answers import (
    RETRY_AFTER,
    Body,
    JsonAnswer,
    batch_answer,
    batch_body,
    lookups_body,
    precomputed_body,
    service_body,
    summary_body,
)
from serving.http.hot import read_body
from serving.http.logged_rows import log_lookups, log_predictions
from serving.http.target import Target
from serving.log.recorder import Recorder
from serving.loop.tasks import answer_to
from serving.loop.turns import Turns
from serving.metrics import exposition
from serving.online.store import OnlineStore
from serving.services.answer_options import options_of_fields
from serving.services.champions import Live
from serving.services.precomputed import PrecomputedService

LARGEST_BATCH_BODY = 8 << 20
PROBE_METHODS = ["GET", "HEAD"]

router = APIRouter(include_in_schema=False)


@router.post("/predict/{service}/batch")
async def predict_batch(request: Request, service: str) -> Response:
    predictor = live(request).predictor(service)
    request.state.service = service
    turns: Turns = request.app.state.turns
    text = await read_body(request.receive, LARGEST_BATCH_BODY)
    batch = await predictor.schema.batch.read(text, turns)
    rows, options = batch.rows, options_of_fields(batch.others)
    target = target_of(request, service)
    try:
        answers = await predictor.predict(rows)
    except Exception as error:
        failed = [answer_to(error)] * len(rows)
        log_predictions(recorder(request), predictor, rows, failed, target)
        raise
    log_predictions(recorder(request), predictor, rows, answers, target)
    body = batch_body(predictor, rows, answers, request.state.request_id, options)
    return await batch_answer(body, turns)


@router.post("/lookup/{service}")
async def lookup_batch(request: Request, service: str) -> Response:
    precomputed = live(request).lookup(service)
    request.state.service = service
    turns: Turns = request.app.state.turns
    text = await read_body(request.receive, LARGEST_BATCH_BODY)
    ids = (await precomputed.keys.batch.read(text, turns)).rows
    target = target_of(request, service)
    try:
        found = await precomputed.lookup(ids)
    except Exception as error:
        failed = [answer_to(error)] * len(ids)
        log_lookups(recorder(request), precomputed, ids, failed, target)
        raise
    log_lookups(recorder(request), precomputed, ids, found.answers, target)
    return await batch_answer(lookups_body(precomputed, found, request.state.request_id), turns)


@router.get("/services")
async def services(request: Request) -> Response:
    found = live(request)
    return JsonAnswer({"services": [summary_body(found.service(name)) for name in found.names]})


@router.get("/services/{service}")
async def service_contract(request: Request, service: str) -> Response:
    """With what the store no longer gets, as it is at this moment."""
    body = describe(request, service)
    await store_metrics(request).look()
    not_fed = request.app.state.not_fed.of(service)
    return JsonAnswer({**body, "not_fed": not_fed} if not_fed else body)


@router.api_route("/livez", methods=PROBE_METHODS)
async def livez() -> Response:
    return JsonAnswer({"status": "alive"})


@router.api_route("/readyz", methods=PROBE_METHODS)
async def readyz(request: Request) -> Response:
    """Ready with a model; a real-time service needs no Redis."""
    stops = request.app.state.edge.connections.draining
    ready = bool(live(request).predictors) and not stops
    why_not = (
        "the server is stopping" if stops else "no model is loaded; run `potluck train SERVICE`"
    )
    body = {
        "status": "ready" if ready else why_not,
        "services": live(request).names,
        "online_store": await store(request).answers(),
    }
    return JsonAnswer(body) if ready else JsonAnswer(body, 503, headers=RETRY_AFTER)


@router.api_route("/metrics", methods=PROBE_METHODS)
async def metrics(request: Request) -> Response:
    text, media_type = exposition()
    return Response(text + await store_metrics(request).exposition(), media_type=media_type)


def live(request: Request) -> Live:
    return request.app.state.champions.live  # type: ignore[no-any-return]


def recorder(request: Request) -> Recorder:
    return request.app.state.recorder  # type: ignore[no-any-return]


def target_of(request: Request, service: str) -> Target:
    return Target(service, "", request.state.request_id, request.state.started)


def store(request: Request) -> OnlineStore:
    return request.app.state.store  # type: ignore[no-any-return]


def store_metrics(request: Request) -> StoreMetrics:
    return request.app.state.store_metrics  # type: ignore[no-any-return]


def describe(request: Request, service: str) -> Body:
    found = live(request).service(service)
    return precomputed_body(found) if isinstance(found, PrecomputedService) else service_body(found)
