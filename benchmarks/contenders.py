"""Who is started in `startup`: Potluck and its peers, each with requests of its own kind."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.home import Home, program
from potluck.contract.features import FeatureContract
from potluck.contract.fields import Field
from potluck.scoring.golden import read_golden
from potluck.scoring.model import Model
from potluck.scoring.releases import Releases

BARE = "bare imports"
POTLUCK, TWO_WORKERS = "potluck serve", "potluck serve --workers 2"
FEAST, MLFLOW = "feast serve", "mlflow models serve"
BARE_IMPORTS = "import fastapi, uvicorn, redis.asyncio, numpy"
REQUESTS = 100

NOTES = (
    (
        f"{BARE}: the process time of `python -c '{BARE_IMPORTS}'`, from start to exit; nothing is "
        "served."
    ),
    (
        f"{POTLUCK}: ready with every model of the repo; Redis runs already. Its {REQUESTS} "
        "requests are hybrid ones:"
    ),
    (
        "  a record in, an online lookup, on-demand functions, a score, the prediction in the "
        "label's own space."
    ),
    (
        f"{FEAST}: knows no model. It joins features and answers them; its requests fetch the "
        "hybrid service's."
    ),
    (
        f"{MLFLOW}: knows no feature store, and one model only. Its requests carry the finished, "
        "encoded matrix row,"
    ),
    "  and it answers the raw score (of a log-transformed label, the logarithm).",
    (
        "A worker is the process that answers: the largest one besides the one that only "
        "supervises it."
    ),
)


@dataclass(frozen=True)
class Contender:
    """A server under measurement."""

    name: str
    command: Callable[[int], list[str]]
    """Port -> command line."""
    ready_path: str
    post_path: str
    bodies: Sequence[bytes]
    supervised: bool
    """Whether the process that is started only supervises the one that answers."""
    slow: bool = False
    timed: bool = True


@dataclass(frozen=True)
class Bundle:
    """The service that is asked, as it was laid down."""

    contract: FeatureContract
    model: Model
    folder: Path


def champion(home: Home, service: str) -> Bundle:
    releases = Releases(home.settings.releases)
    release = releases.champion(service)
    model = releases.open(release)
    return Bundle(model.contract, model, releases.bundles / release.digest)


def contenders_for(home: Home, bundle: Bundle) -> list[Contender]:
    """All who are started, Potluck first."""
    records = first_records(home, bundle.contract)
    return [
        *potluck_contenders(home, bundle.contract.service, records),
        feast_contender(home, bundle.contract, records),
        mlflow_contender(bundle),
    ]


def potluck_contenders(
    home: Home, service: str, records: Sequence[Mapping[str, Any]]
) -> list[Contender]:
    """With one worker, and with two: of the latter only the memory counts."""
    serve = [program("potluck"), "serve", "--repo", str(home.settings.repo), "--port"]
    path = f"/predict/{service}"
    bodies = [json.dumps(sent(record)).encode() for record in records]
    return [
        Contender(
            POTLUCK,
            lambda port: [*serve, str(port)],
            "/readyz",
            path,
            bodies,
            supervised=False,
        ),
        Contender(
            TWO_WORKERS,
            lambda port: [*serve, str(port), "--workers", "2"],
            "/readyz",
            path,
            bodies,
            supervised=True,
            timed=False,
        ),
    ]


def feast_contender(
    home: Home, contract: FeatureContract, records: Sequence[Mapping[str, Any]]
) -> Contender:
    repo = str(home.settings.repo)
    serve = [program("feast"), "-c", repo, "serve", "--host", "127.0.0.1", "--port"]
    return Contender(
        FEAST,
        lambda port: [*serve, str(port)],
        "/health",
        "/get-online-features",
        feast_bodies(contract, records),
        supervised=True,
        slow=True,
    )


def mlflow_contender(bundle: Bundle) -> Contender:
    model = f"models:/{bundle.contract.service}@champion"
    serve = [program("mlflow"), "models", "serve", "-m", model]
    local = ["--env-manager", "local", "--host", "127.0.0.1", "--port"]
    return Contender(
        MLFLOW,
        lambda port: [*serve, *local, str(port)],
        "/ping",
        "/invocations",
        mlflow_bodies(bundle),
        supervised=True,
        slow=True,
    )


def first_records(home: Home, contract: FeatureContract) -> list[dict[str, Any]]:
    """Keys and request fields of the population's first entities."""
    folder = home.settings.data_folder(contract.project)
    path = folder / f"{contract.population}.parquet"
    names = [field.name for field in contract.keys + contract.request]
    rows = pq.read_table(path, columns=names).slice(0, REQUESTS)
    return list(rows.to_pylist())


def sent(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def feast_bodies(contract: FeatureContract, records: Sequence[Mapping[str, Any]]) -> list[bytes]:
    """Feast wants every request field, and a value in each."""
    bodies = []
    for record in records:
        entity = {}
        for field in contract.keys + contract.request:
            value = value_for_feast(field, record[field.name])
            entity[field.name] = [value]
        body = {"feature_service": contract.service, "entities": entity}
        bodies.append(json.dumps(body).encode())
    return bodies


def value_for_feast(field: Field, value: Any) -> Any:
    """The value, or where it is missing an empty one of the field's type."""
    if value is not None:
        return value
    return "" if field.dtype == "string" else 0


def mlflow_bodies(bundle: Bundle) -> list[bytes]:
    """Rows as they came, looked-up values among them: the bundle's golden ones, as often as
    needed."""
    inputs = read_golden(bundle.folder).inputs
    bodies = []
    for values in zip(*inputs.values(), strict=True):
        row = dict(zip(inputs, values, strict=True))
        bodies.append(json.dumps({"inputs": [row]}).encode())
    return [bodies[number % len(bodies)] for number in range(REQUESTS)]
