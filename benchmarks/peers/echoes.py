"""Servers that answer a request with its own body (a GET with its path), from bare ASGI up: what is
left to win.

uvicorn benchmarks.peers.echoes:bare
uvicorn --factory benchmarks.peers.echoes:starlette_app    also fastapi_app, pydantic_app
"""

import json
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from benchmarks.peers.place import place_from_environment, record_model


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI with nothing on top."""
    body = b""
    more: Any = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body")  # the last message may leave it out
    answer = body or json.dumps(scope["path"]).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def echo(request: Request) -> Response:
    return Response(
        await request.body() or json.dumps(request.url.path), media_type="application/json"
    )


def starlette_app() -> Starlette:
    return Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])])


def fastapi_app() -> FastAPI:
    app = FastAPI()
    app.add_api_route("/{path:path}", echo, methods=["GET", "POST"])
    return app


def pydantic_app() -> FastAPI:
    """The body parsed into a model of the service's record, and written out again."""
    record = record_model(place_from_environment().contract)
    app = FastAPI()

    @app.get("/livez")
    async def livez() -> str:
        return "alive"

    @app.post("/predict/{service}")
    async def predict(service: str, body: record) -> Any:  # type: ignore[valid-type]
        return body

    return app
