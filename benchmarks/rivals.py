"""Who answers in `serving`: Potluck, its peers, and echoes that do nothing but answer."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ground import Ground
from benchmarks.home import BIN
from benchmarks.peers.mlserver_peer import (
    MLSERVER_VERSION,
    mlserver_program,
    model_folder,
    start_command,
)
from benchmarks.peers.place import Place
from benchmarks.processes import free_port
from benchmarks.traffic import (
    HYBRID,
    REALTIME,
    Traffic,
    feast_sdk_traffic,
    feast_traffic,
    mlflow_traffic,
    mlserver_traffic,
)

POTLUCK, POTLUCK_2, ECHO, ECHO_2, ECHO_ASYNCIO = (
    "potluck",
    "potluck-2",
    "echo",
    "echo-2",
    "echo-asyncio",
)
STARLETTE, FASTAPI, PYDANTIC = "starlette", "fastapi", "pydantic"
FEAST_PANDAS, FEAST_BOOSTER, FEAST, MLSERVER = "feast-pandas", "feast-booster", "feast", "mlserver"
MLFLOW, MLFLOW_REALTIME = "mlflow", "mlflow-realtime"
MANY, ONE = 16, 1
UVICORN = (
    str(BIN / "python"),
    "-m",
    "uvicorn",
    "--http",
    "httptools",
    "--no-access-log",
    "--log-level",
    "warning",
)
BARE = ("benchmarks.peers.echoes:bare", "--lifespan", "off")

Prices = Callable[[Any], list[float]]
"""An answer's JSON -> the prices in it."""


@dataclass(frozen=True)
class Rival:
    """A server, how it is started and what it is asked."""

    name: str
    label: str
    command: Callable[[int], Sequence[str]]
    """Port -> command line."""
    ready_path: str
    traffic: Traffic
    prices: Prices | None = None
    """None: it only echoes."""
    same_model: bool = True
    """Whether it answers with the very model that Potluck serves in that case."""
    connections: tuple[int, ...] = (MANY, ONE)
    workers: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)


def rivals_for(ground: Ground, with_mlserver: bool) -> list[Rival]:
    program = mlserver_program() if with_mlserver else None
    native = [mlserver(ground, program)] if program else []
    return [
        *potlucks(ground),
        *echoes(ground),
        *feast_sdks(ground),
        *mlflows(ground),
        feast(ground),
        *native,
    ]


def potlucks(ground: Ground) -> list[Rival]:
    repo, hybrid = ground.home.settings.repo, {HYBRID: ground.traffic[HYBRID]}
    two = dataclasses.replace(
        potluck(repo, hybrid, "--workers", "2"), name=POTLUCK_2, connections=(MANY,), workers=2
    )
    return [potluck(repo, ground.traffic), two]


def potluck(repo: Path, traffic: Traffic, *options: str) -> Rival:
    label = " ".join(["potluck serve", *options])
    serve = [str(BIN / "potluck"), "serve", "--repo", str(repo), *options, "--port"]
    return Rival(POTLUCK, label, lambda port: [*serve, str(port)], "/readyz", traffic, own_prices)


def echoes(ground: Ground) -> list[Rival]:
    hybrid, place = {HYBRID: ground.traffic[HYBRID]}, ground.place(HYBRID)
    two, asyncio = uvicorn(*BARE, "--workers", "2"), uvicorn(*BARE, loop="asyncio")
    return [
        bare_echo(ground.traffic),
        Rival(
            ECHO_2,
            "bare ASGI echo, 2 workers",
            two,
            "/livez",
            hybrid,
            connections=(MANY,),
            workers=2,
        ),
        Rival(ECHO_ASYNCIO, "bare ASGI echo, asyncio's loop", asyncio, "/livez", hybrid),
        Rival(STARLETTE, "Starlette echo", factory("echoes:starlette_app"), "/livez", hybrid),
        Rival(FASTAPI, "FastAPI echo", factory("echoes:fastapi_app"), "/livez", hybrid),
        fitted_out(
            PYDANTIC, "FastAPI echo, pydantic body", factory("echoes:pydantic_app"), hybrid, place
        ),
    ]


def bare_echo(traffic: Traffic) -> Rival:
    return Rival(ECHO, "bare ASGI echo", uvicorn(*BARE), "/livez", traffic)


def feast_sdks(ground: Ground) -> list[Rival]:
    place, traffic = ground.place(HYBRID), feast_sdk_traffic(ground.records)
    pandas = "FastAPI + Feast SDK + pandas + sklearn pipeline"
    booster = "FastAPI + Feast SDK + native Booster"
    return [
        fitted_out(
            FEAST_PANDAS,
            pandas,
            factory("feast_pandas:pandas_app"),
            traffic,
            place,
            own_prices,
            False,
        ),
        fitted_out(
            FEAST_BOOSTER, booster, factory("feast_booster:booster_app"), traffic, place, own_prices
        ),
    ]


def mlflows(ground: Ground) -> list[Rival]:
    """`mlflow models serve` of both pipelines: the hybrid service's columns, and the real-time
    service's."""
    described = (
        (MLFLOW, HYBRID, "all columns sent"),
        (MLFLOW_REALTIME, REALTIME, "real-time columns"),
    )
    return [
        Rival(
            *(name, f"mlflow models serve of a sklearn pipeline, {told}"),
            mlflow_command(ground.place(case).pipeline),
            "/ping",
            mlflow_traffic(case, ground.bundles[case].contract, ground.rows),
            logarithms("predictions"),
            same_model=False,
        )
        for name, case, told in described
    ]


def mlflow_command(model: Path) -> Callable[[int], list[str]]:
    serve = [
        str(BIN / "mlflow"),
        "models",
        "serve",
        "-m",
        str(model),
        "--env-manager",
        "local",
        "--host",
        "127.0.0.1",
    ]
    return lambda port: [*serve, "--port", str(port)]


def feast(ground: Ground) -> Rival:
    """Without a limit of requests: by default a worker is replaced after about a thousand."""
    repo, contract = str(ground.stock_repo), ground.bundles[HYBRID].contract
    serve = [
        str(BIN / "feast"),
        "-c",
        repo,
        "serve",
        "--max-requests",
        "0",
        "--no-access-log",
        "--host",
        "127.0.0.1",
    ]
    traffic = feast_traffic(contract, ground.records)
    return Rival(
        FEAST,
        "feast serve (no model)",
        lambda port: [*serve, "--port", str(port)],
        "/health",
        traffic,
        feast_prices,
    )


def mlserver(ground: Ground, program: Path) -> Rival:
    """The real-time service's Booster; encoded rows in, the model's own space out."""
    place = ground.place(REALTIME)
    folder = model_folder(place.contract, place.bundle, ground.home.settings.home / "mlserver")
    return Rival(
        MLSERVER,
        f"MLServer {MLSERVER_VERSION}, native Booster",
        lambda port: start_command(program, folder, port, (free_port(), free_port())),
        "/v2/health/ready",
        mlserver_traffic(place.contract, ground.rows),
        lambda body: logarithms("data")(body["outputs"][0]),
    )


def uvicorn(*arguments: str, loop: str = "uvloop") -> Callable[[int], list[str]]:
    return lambda port: [*UVICORN, "--loop", loop, "--port", str(port), *arguments]


def factory(application: str) -> Callable[[int], list[str]]:
    return uvicorn("--factory", f"benchmarks.peers.{application}")


def fitted_out(
    name: str,
    label: str,
    command: Callable[[int], Sequence[str]],
    traffic: Traffic,
    place: Place,
    prices: Prices | None = None,
    same_model: bool = True,
) -> Rival:
    """A server of `benchmarks.peers` that reads what it serves."""
    return Rival(
        name, label, command, "/livez", traffic, prices, same_model, variables=place.variables
    )


def own_prices(body: Any) -> list[float]:
    """Of Potluck, (a) and (c)."""
    return body["predictions"] if "predictions" in body else [body["prediction"]]


def logarithms(name: str) -> Prices:
    """Of a server that answers the model's own space."""
    return lambda body: np.exp(np.array(body[name], dtype=np.float64)).tolist()


def feast_prices(body: Any) -> list[float]:
    column = body["metadata"]["feature_names"].index("prediction")
    return list(body["results"][column]["values"])
