"""`make demo`: every verb in its order on a fresh home, then one call to each service."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import click

from cli.demo.service_calls import show_services
from cli.first_run import fill_home, run_verb
from cli.main import run_command
from potluck.contract.errors import PotluckError
from potluck.contract.settings import Settings, load_settings

READY_SECONDS = 60.0


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A raw file; else synthetic.",
)
@click.option(
    "--repo", type=click.Path(path_type=Path, exists=True), default=None, help="Feast feature repo."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the server.  [default: a free one]",
)
def demo(data: Path | None, repo: Path | None, port: int) -> None:
    """Show the whole of Potluck in one go; leaves nothing behind."""
    started = time.monotonic()
    with make_fresh_home() as home:
        settings = load_settings(home=home, repo=repo)
        environment = {**os.environ, **stores_within(settings), "POTLUCK_REPO": str(settings.repo)}
        try:
            fill_home(environment, data)
            with start_server(environment, port or free_port()) as url:
                show_services(settings, url)
        finally:
            run_verb(environment, "down")
    click.secho(f"\ndone in {time.monotonic() - started:.0f} s", bold=True)


def stores_within(settings: Settings) -> dict[str, str]:
    """The home's own Redis, MLflow and registry.

    They win over others that the environment or a `.env` file names.
    """
    return {
        "POTLUCK_HOME": str(settings.home),
        "REDIS_URL": settings.embedded_redis_url,
        "MLFLOW_TRACKING_URI": settings.local_tracking_uri,
        "FEAST_REGISTRY_URL": f"sqlite:///{settings.home / 'feast.db'}",
    }


@contextlib.contextmanager
def make_fresh_home() -> Iterator[Path]:
    """Make a home below the given one or among temporary files, and remove it at the end."""
    parent = os.environ.get("POTLUCK_HOME")
    if parent is not None:
        Path(parent).mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="potluck-demo-", dir=parent))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def start_server(environment: dict[str, str], port: int) -> Iterator[str]:
    """Run `potluck serve` until the block ends."""
    url = f"http://127.0.0.1:{port}"
    click.secho(f"\n$ potluck serve --port {port}", bold=True)
    command = [sys.executable, "-m", "cli.main", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env={**environment, "POTLUCK_LOG_LEVEL": "WARNING"})
    try:
        wait_until_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, TimeoutError):
            urllib.request.urlopen(f"{url}/readyz", timeout=1).read()
            return
        time.sleep(0.05)
    if process.poll() is not None:
        raise PotluckError(
            f"the server ended with exit code {process.returncode}; its words stand above"
        )
    raise PotluckError(f"the server did not get ready within {READY_SECONDS:.0f} s")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


if __name__ == "__main__":
    run_command(demo)
