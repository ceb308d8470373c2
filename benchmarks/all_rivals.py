"""Who answers in `serving`: Potluck, its peers, and echoes that do nothing but answer."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ground import Ground
from benchmarks.home import program
from benchmarks.peers.mlserver_peer import (
    MLSERVER_VERSION,
    mlserver_program,
    model_folder,
    start_command,
)
from benchmarks.processes import free_port
from benchmarks.rivals import (
    BARE,
    ECHO_2,
    ECHO_ASYNCIO,
    FASTAPI,
    FEAST,
    FEAST_BOOSTER,
    FEAST_PANDAS,
    MANY,
    MLFLOW,
    MLFLOW_REALTIME,
    MLSERVER,
    POTLUCK_2,
    PYDANTIC,
    STARLETTE,
    Prices,
    Rival,
    bare_echo,
    own_prices,
    potluck,
    uvicorn,
)
from benchmarks.traffic import (
    HYBRID,
    REALTIME,
    feast_sdk_traffic,
    feast_traffic,
    mlflow_traffic,
    mlserver_traffic,
)


def rivals_for(ground: Ground, *, with_mlserver: bool) -> list[Rival]:
    """Everybody; MLServer where it is wanted and can be installed."""
    rivals = [
        *potlucks(ground),
        *echoes(ground),
        *feast_sdks(ground),
        mlflow(ground, MLFLOW, HYBRID, "all columns sent"),
        mlflow(ground, MLFLOW_REALTIME, REALTIME, "real-time columns"),
        feast(ground),
    ]
    program = mlserver_program() if with_mlserver else None
    if program:
        rivals.append(mlserver(ground, program))
    return rivals


def potlucks(ground: Ground) -> list[Rival]:
    """With one worker, and with two: the latter with the hybrid service and many callers only."""
    repo = ground.home.settings.repo
    hybrid = {HYBRID: ground.traffic[HYBRID]}
    two = potluck(repo, hybrid, "--workers", "2")
    two = dataclasses.replace(two, name=POTLUCK_2, connections=(MANY,), workers=2)
    return [potluck(repo, ground.traffic), two]


def echoes(ground: Ground) -> list[Rival]:
    """From bare ASGI up; only the bare one is asked everything that Potluck is asked."""
    hybrid = {HYBRID: ground.traffic[HYBRID]}
    two = uvicorn(*BARE, "--workers", "2")
    asyncio = uvicorn(*BARE, loop="asyncio")
    return [
        bare_echo(ground.traffic),
        Rival(
            name=ECHO_2,
            label="bare ASGI echo, 2 workers",
            command=two,
            ready_path="/livez",
            traffic=hybrid,
            connections=(MANY,),
            workers=2,
        ),
        Rival(ECHO_ASYNCIO, "bare ASGI echo, asyncio's loop", asyncio, "/livez", hybrid),
        Rival(STARLETTE, "Starlette echo", factory("echoes:starlette_app"), "/livez", hybrid),
        Rival(FASTAPI, "FastAPI echo", factory("echoes:fastapi_app"), "/livez", hybrid),
        Rival(
            name=PYDANTIC,
            label="FastAPI echo, pydantic body",
            command=factory("echoes:pydantic_app"),
            ready_path="/livez",
            traffic=hybrid,
            variables=ground.place(HYBRID).variables,
        ),
    ]


def feast_sdks(ground: Ground) -> list[Rival]:
    """(a) and (c): servers as a team would write them around Feast's SDK."""
    traffic = feast_sdk_traffic(ground.records)
    variables = ground.place(HYBRID).variables
    return [
        Rival(
            name=FEAST_PANDAS,
            label="FastAPI + Feast SDK + pandas + sklearn pipeline",
            command=factory("feast_pandas:pandas_app"),
            ready_path="/livez",
            traffic=traffic,
            prices=own_prices,
            same_model=False,
            variables=variables,
        ),
        Rival(
            name=FEAST_BOOSTER,
            label="FastAPI + Feast SDK + native Booster",
            command=factory("feast_booster:booster_app"),
            ready_path="/livez",
            traffic=traffic,
            prices=own_prices,
            variables=variables,
        ),
    ]


def mlflow(ground: Ground, name: str, case: str, columns: str) -> Rival:
    """`mlflow models serve` of a pipeline: the hybrid service's columns, or the real-time
    service's."""
    serve = [
        program("mlflow"),
        "models",
        "serve",
        "-m",
        str(ground.place(case).pipeline),
        "--env-manager",
        "local",
        "--host",
        "127.0.0.1",
        "--port",
    ]
    return Rival(
        name=name,
        label=f"mlflow models serve of a sklearn pipeline, {columns}",
        command=lambda port: [*serve, str(port)],
        ready_path="/ping",
        traffic=mlflow_traffic(case, ground.bundles[case].contract, ground.rows),
        prices=logarithms("predictions"),
        same_model=False,
    )


def feast(ground: Ground) -> Rival:
    """Without a limit of requests: by default a worker is replaced after about a thousand."""
    serve = [
        program("feast"),
        "-c",
        str(ground.stock_repo),
        "serve",
        "--max-requests",
        "0",
        "--no-access-log",
        "--host",
        "127.0.0.1",
        "--port",
    ]
    return Rival(
        name=FEAST,
        label="feast serve (no model)",
        command=lambda port: [*serve, str(port)],
        ready_path="/health",
        traffic=feast_traffic(ground.bundles[HYBRID].contract, ground.records),
        prices=feast_prices,
    )


def mlserver(ground: Ground, program: Path) -> Rival:
    """The real-time service's Booster; encoded rows in, the model's own space out."""
    place = ground.place(REALTIME)
    folder = model_folder(place.contract, place.bundle, ground.home.settings.home / "mlserver")
    data = logarithms("data")
    return Rival(
        name=MLSERVER,
        label=f"MLServer {MLSERVER_VERSION}, native Booster",
        command=lambda port: start_command(program, folder, port, (free_port(), free_port())),
        ready_path="/v2/health/ready",
        traffic=mlserver_traffic(place.contract, ground.rows),
        prices=lambda body: data(body["outputs"][0]),
    )


def factory(application: str) -> Callable[[int], list[str]]:
    """Command line of a server of `benchmarks.peers`."""
    return uvicorn("--factory", f"benchmarks.peers.{application}")


def logarithms(name: str) -> Prices:
    """Of a server that answers the model's own space."""

    def prices(body: Any) -> list[float]:
        answered = np.array(body[name], dtype=np.float64)
        return list(np.exp(answered).tolist())

    return prices


def feast_prices(body: Any) -> list[float]:
    """Feast answers a list of columns, and their names apart."""
    column = body["metadata"]["feature_names"].index("prediction")
    return list(body["results"][column]["values"])
