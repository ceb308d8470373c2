"""The calls of the HTTP contract, but for the two that stand in `hot`."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from potluck.contract.errors import BatchTooLarge, ServiceNotFound
from serving.answers import (
    Body,
    JsonAnswer,
    batch_body,
    lookups_body,
    precomputed_body,
    service_body,
)
from serving.champions import Live, listed
from serving.hot import read_body
from serving.metrics import exposition
from serving.online import OnlineStore
from serving.schema import read_envelope
from serving.store_metrics import StoreMetrics

LARGEST_BATCH_BODY = 8 << 20
MOST_ROWS = 1000

router = APIRouter(include_in_schema=False)


@router.post("/predict/{service}/batch")
async def predict_batch(request: Request, service: str) -> Response:
    predictor = live(request).predictor(service)
    request.state.service = service
    rows = limited(predictor.schema.read_rows(await read_body(request.receive, LARGEST_BATCH_BODY)))
    answers = await predictor.predict(rows)
    return JsonAnswer(batch_body(predictor, answers, request.state.request_id))


@router.post("/lookup/{service}")
async def lookup_batch(request: Request, service: str) -> Response:
    precomputed = live(request).lookup(service)
    request.state.service = service
    ids = limited(read_envelope(await read_body(request.receive, LARGEST_BATCH_BODY), "ids"))
    found = await precomputed.lookup([precomputed.keys.check(entity) for entity in ids])
    return JsonAnswer(lookups_body(precomputed, found, request.state.request_id))


@router.get("/services")
async def services(request: Request) -> Response:
    bodies = [describe(request, name) for name in live(request).names]
    short = [{key: body[key] for key in ("service", "model_version", "objective", "served_by")} for body in bodies]
    return JsonAnswer({"services": short})


@router.get("/services/{service}")
async def service_contract(request: Request, service: str) -> Response:
    """With what the store no longer gets, as it is at this moment."""
    body = describe(request, service)
    await store_metrics(request).look()
    not_fed = request.app.state.not_fed.of(service)
    return JsonAnswer({**body, "not_fed": not_fed} if not_fed else body)


@router.get("/livez")
async def livez() -> Response:
    return JsonAnswer({"status": "alive"})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """Ready with a model; a real-time service needs no Redis."""
    stops = request.app.state.edge.connections.draining
    ready = bool(live(request).predictors) and not stops
    why_not = "the server is stopping" if stops else "no model is loaded; run `potluck train SERVICE`"
    body = {
        "status": "ready" if ready else why_not,
        "services": live(request).names,
        "online_store": await store(request).answers(),
    }
    return JsonAnswer(body, status_code=200 if ready else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    text, media_type = exposition()
    return Response(text + await store_metrics(request).exposition(), media_type=media_type)


def live(request: Request) -> Live:
    return request.app.state.champions.live  # type: ignore[no-any-return]


def store(request: Request) -> OnlineStore:
    return request.app.state.store  # type: ignore[no-any-return]


def store_metrics(request: Request) -> StoreMetrics:
    return request.app.state.store_metrics  # type: ignore[no-any-return]


def describe(request: Request, service: str) -> Body:
    now = live(request)
    if service in now.precomputed:
        return precomputed_body(now.precomputed[service])
    if service in now.predictors:
        return service_body(now.predictors[service])
    raise ServiceNotFound(f"no such service; there are: {listed(now.names)}")


def limited(rows: list[Any]) -> list[Any]:
    if len(rows) > MOST_ROWS:
        raise BatchTooLarge(f"one call takes at most {MOST_ROWS} rows, this one has {len(rows)}; send several calls")
    return rows
