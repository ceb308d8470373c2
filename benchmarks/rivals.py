"""What a rival of `serving` is, the names of all, and the two that other benchmarks start too:
Potluck and a bare echo."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.home import program
from benchmarks.traffic import (
    Traffic,
)

POTLUCK, POTLUCK_2 = "potluck", "potluck-2"
ECHO, ECHO_2, ECHO_ASYNCIO = "echo", "echo-2", "echo-asyncio"
STARLETTE, FASTAPI, PYDANTIC = "starlette", "fastapi", "pydantic"
FEAST_PANDAS, FEAST_BOOSTER, FEAST, MLSERVER = "feast-pandas", "feast-booster", "feast", "mlserver"
MLFLOW, MLFLOW_REALTIME = "mlflow", "mlflow-realtime"
MANY, ONE = 16, 1
UVICORN = (
    program("python"),
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


def potluck(repo: Path, traffic: Traffic, *options: str) -> Rival:
    label = " ".join(["potluck serve", *options])
    serve = [program("potluck"), "serve", "--repo", str(repo), *options, "--port"]
    return Rival(
        name=POTLUCK,
        label=label,
        command=lambda port: [*serve, str(port)],
        ready_path="/readyz",
        traffic=traffic,
        prices=own_prices,
    )


def bare_echo(traffic: Traffic) -> Rival:
    return Rival(ECHO, "bare ASGI echo", uvicorn(*BARE), "/livez", traffic)


def uvicorn(*arguments: str, loop: str = "uvloop") -> Callable[[int], list[str]]:
    return lambda port: [*UVICORN, "--loop", loop, "--port", str(port), *arguments]


def own_prices(body: Any) -> list[float]:
    """Of Potluck, (a) and (c): a record's price, or those of many records."""
    if "predictions" in body:
        return list(body["predictions"])
    return [body["prediction"]]
