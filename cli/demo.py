"""`make demo`: every verb in its order on a fresh home, then one call to each of the three services."""

import contextlib
import json
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
from typing import Any

import click

from cli.calls import call
from cli.first_run import fill_home, verb
from potluck.contract.features import FeatureContract, read_contract
from potluck.contract.settings import Settings, load_settings
from potluck.scoring.bundle import CONTRACT_FILE
from potluck.scoring.releases import Releases

READY_SECONDS = 60.0
SHOWN = 8


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A raw file; else synthetic."
)
@click.option("--repo", type=click.Path(path_type=Path, exists=True), default=None, help="Feast feature repo.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the server.  [default: a free one]")
def demo(data: Path | None, repo: Path | None, port: int) -> None:
    """Show the whole of Potluck in one go; leaves nothing behind."""
    started = time.monotonic()
    with fresh_home() as home:
        settings = load_settings(home=home, repo=repo)
        environment = {**os.environ, "POTLUCK_HOME": str(home), "POTLUCK_REPO": str(settings.repo)}
        for name in ("REDIS_URL", "MLFLOW_TRACKING_URI", "FEAST_REGISTRY_URL"):
            environment.pop(name, None)
        try:
            fill_home(environment, data)
            with server(environment, port or free_port()) as url:
                show(settings, url)
        finally:
            verb(environment, "down")
    click.secho(f"\ndone in {time.monotonic() - started:.0f} s", bold=True)


@contextlib.contextmanager
def fresh_home() -> Iterator[Path]:
    """A new home, in the given one or among temporary files, gone at the end."""
    parent = os.environ.get("POTLUCK_HOME")
    if parent is not None:
        Path(parent).mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="potluck-demo-", dir=parent))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def server(environment: dict[str, str], port: int) -> Iterator[str]:
    """`potluck serve` until the block ends."""
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
    raise SystemExit(f"the server did not get ready within {READY_SECONDS:.0f} s")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def show(settings: Settings, url: str) -> None:
    """One call to each service, with each feature's source."""
    releases = Releases(settings.releases)
    contracts = {}
    for service in releases.services():
        folder = releases.bundles / releases.champion(service).digest
        contracts[service] = read_contract((folder / CONTRACT_FILE).read_bytes())
    population = next(c for c in contracts.values() if c.population)
    row = first_row(settings, population)
    for contract in sorted(contracts.values(), key=lambda c: len(c.views)):
        show_prediction(url, contract, row)
    for publication in population.publications:
        show_lookup(url, publication.service, row[publication.key.name])


def first_row(settings: Settings, contract: FeatureContract) -> dict[str, Any]:
    """The population's first entity."""
    import pyarrow.parquet as pq

    path = settings.data_folder(contract.project) / f"{contract.population}.parquet"
    table = pq.read_table(path, columns=[field.name for field in contract.keys + contract.request])
    return dict(table.slice(0, 1).to_pylist()[0])


def show_prediction(url: str, contract: FeatureContract, row: dict[str, Any]) -> None:
    record = {field.name: row[field.name] for field in contract.keys + contract.request}
    click.secho(f"\nPOST /predict/{contract.service}", bold=True)
    answer = call(f"{url}/predict/{contract.service}", json.dumps(record).encode())
    click.echo(f"  {json.dumps(answer)}")
    described = call(f"{url}/services/{contract.service}")["fields"]
    sources = {"key": "sent as the key", "request": "sent in the request", "online": "looked up in the online store"}
    for source in ("key", "request", "online", "on-demand"):
        names = [field["name"] for field in described if field["source"] == source]
        if names:
            shown = [f"{name}={json.dumps(record[name])}" if name in record else name for name in names]
            more = f" … and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
            click.echo(f"  {sources.get(source, 'computed on demand')}: {', '.join(shown[:SHOWN])}{more}")


def show_lookup(url: str, service: str, entity: Any) -> None:
    click.secho(f"\nGET /lookup/{service}/{entity}", bold=True)
    click.echo(f"  {json.dumps(call(f'{url}/lookup/{service}/{entity}'))}")
    click.echo("  nothing is sent but the id: last night's run computed it")


if __name__ == "__main__":
    demo()
