"""The server's composition root: settings in, an ASGI application out."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from potluck import __version__
from potluck.contract import logs
from potluck.contract.errors import (
    MethodNotAllowed,
    OtherHttpError,
    PathNotFound,
    RequestError,
)
from potluck.contract.settings import Settings, load_settings
from potluck.scoring.releases import Releases
from serving.gauges.champion_age import ChampionAges
from serving.gauges.features_not_fed import FeaturesNotFed
from serving.gauges.inference_log_rows import InferenceLogRows
from serving.gauges.materialization_age import MaterializationAges
from serving.gauges.publication_age import PublicationAges
from serving.gauges.skew_consistency import SkewConsistency
from serving.gauges.store_metrics import StoreMetrics
from serving.http.access import edge_for
from serving.http.answers import error_answer
from serving.http.hot import HotCalls
from serving.http.openapi import OpenApi
from serving.http.routes import router
from serving.log.recorder import recorder_for
from serving.loop.tasks import answer_to
from serving.loop.turns import Turns
from serving.online.store import OnlineStore
from serving.process.parent import follow_parent
from serving.services.champions import Champions


def create_app(settings: Settings | None = None) -> ASGIApp:
    """The application of one worker; uvicorn calls it without arguments in each."""
    settings = settings or load_settings()
    logs.set_up(settings)
    app = FastAPIOffline(
        title="Potluck",
        version=__version__,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.turns = Turns()
    app.state.store = OnlineStore(settings)
    app.state.champions = Champions(Releases(settings.releases), app.state.store)
    kinds = (PublicationAges, MaterializationAges, ChampionAges)
    ages = [kind(app.state.champions, now) for kind in kinds]
    app.state.not_fed = FeaturesNotFed(app.state.champions)
    told = (app.state.not_fed, InferenceLogRows(settings), SkewConsistency(settings))
    app.state.store_metrics = StoreMetrics(app.state.store, *ages, *told)
    app.state.recorder = recorder_for(settings)
    hot = HotCalls(app.state.champions, app.state.recorder)
    # Not `include_router`: it would hide the routes from whoever asks which one a path belongs to.
    app.router.routes.extend([*router.routes, *hot.routes])
    app.add_exception_handler(RequestError, on_request_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(Exception, on_unforeseen)
    document = OpenApi(app.state.champions, app.state.turns)
    app.router.routes.insert(0, document.route)  # before FastAPI's own, which knows no service
    app.state.edge = edge_for(settings)(app, hot, settings)
    return app.state.edge  # type: ignore[no-any-return]


def now() -> datetime:
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the champions and the store, watch for promotions, close in reverse."""
    app.state.champions.look()
    gc.freeze()  # what lives as long as the process need not be looked through again
    edge = app.state.edge
    works = (
        app.state.champions.watch(),
        edge.report(),
        edge.connections.sweep(),
        app.state.store_metrics.watch(),
    )
    app.state.recorder.start()
    tasks = [asyncio.create_task(work) for work in works]
    unfollow = follow_parent()
    try:
        yield
    finally:
        unfollow()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await app.state.store.close()
        await app.state.recorder.close()


async def on_request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return error_answer(error, request.state.request_id)


async def on_unforeseen(request: Request, error: Exception) -> Response:
    """Answer what is left; Starlette raises the exception again, so that the edge logs it."""
    return error_answer(answer_to(error), request.state.request_id)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer the router's own refusals (no such path, another method) in the contract's form."""
    assert isinstance(error, HTTPException)
    message = f"{error.detail}; see /openapi.json for the calls that there are"
    refusal: RequestError
    if error.status_code == PathNotFound.status:
        refusal = PathNotFound(message)
    elif error.status_code == MethodNotAllowed.status:
        refusal = MethodNotAllowed(message)
    else:
        refusal = OtherHttpError(message, error.status_code)
    return error_answer(refusal, request.state.request_id, error.headers)
