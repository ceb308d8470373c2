"""The verb serve: the HTTP server."""

import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path

import click

from cli.options import common_options
from cli.stack.listen_address import check_address
from cli.stack.log_decoder import log_decoder
from cli.startup import settings_for
from potluck.contract import logs
from potluck.redis.embedded import ensure_redis
from serving.metrics import MULTIPROCESS_FOLDER


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True)
@common_options
def serve_verb(host: str, port: int, workers: int, repo: Path | None, as_json: bool) -> None:
    """Answer HTTP with the champions that are laid down."""
    import uvicorn

    from serving.http.wire import PROTOCOL
    from serving.process.drain import DrainingServer
    from serving.process.workers import Workers

    settings = settings_for(repo)
    logs.set_up(settings)
    check_address(host, port)
    ensure_redis(settings)
    # uvicorn raises the signal again when all is answered. Without a handler that would kill the
    # process: another exit code, and the folder below would stay.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory(prefix="potluck-metrics-") as folder:
        if workers > 1:
            os.environ.setdefault(MULTIPROCESS_FOLDER, folder)
        config = uvicorn.Config(
            "serving.app:create_app",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            http=PROTOCOL,
            ws="none",
            access_log=False,
            proxy_headers=False,
            log_config=None,  # its lines come in our form
            log_level=settings.log_level.lower(),
        )
        with log_decoder(settings), contextlib.suppress(KeyboardInterrupt):
            if workers > 1:
                Workers(config, [config.bind_socket()], settings).run()
            else:
                DrainingServer(config).run()
