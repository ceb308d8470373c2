"""What stands between the protocol and the edge is told at the start, not at the first request."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI

from potluck.contract.settings import Settings
from serving.app import create_app
from serving.http.wire import PROTOCOL
from serving.process.drain import DrainingServer


def start_and_stop(app: object, *, proxy_headers: bool) -> None:
    """Start a server with this application, and end it."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        port=0,
        http=PROTOCOL,
        lifespan="off",
        proxy_headers=proxy_headers,
        log_config=None,
    )
    config.load()
    server = DrainingServer(config)
    server.lifespan = config.lifespan_class(config)

    async def run() -> None:
        await server.startup()
        await server.shutdown()

    asyncio.run(run())


@pytest.fixture
def app(tmp_path: Path) -> object:
    return create_app(Settings(home=tmp_path, redis_url="redis://127.0.0.1:1", inference_log=False))


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """The server's logger hands nothing on, so it is listened to itself."""
    logger = logging.getLogger("potluck.serving")
    logger.addHandler(caplog.handler)
    yield
    logger.removeHandler(caplog.handler)


def test_a_wrapper_that_hot_calls_pass_by_is_named_at_the_start(
    app: object, caplog: pytest.LogCaptureFixture
) -> None:
    start_and_stop(app, proxy_headers=True)
    assert any("ProxyHeadersMiddleware wraps" in message for message in caplog.messages)


def test_the_application_as_it_is_brings_no_warning(
    app: object, caplog: pytest.LogCaptureFixture
) -> None:
    start_and_stop(app, proxy_headers=False)
    assert not any("wraps" in message for message in caplog.messages)


def test_another_application_does_not_start() -> None:
    with pytest.raises(TypeError, match="create_app"):
        start_and_stop(FastAPI(), proxy_headers=False)
