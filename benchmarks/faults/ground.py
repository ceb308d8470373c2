"""What is broken: a home with two versions of a model, and what is answered while all is well."""

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import champion
from benchmarks.faults.load import Ask, Line
from benchmarks.faults.redis_server import RedisServer, durable_redis
from benchmarks.home import Data, Home, environment, lay_down, program, settings_of, train
from benchmarks.machine import PROJECT
from benchmarks.processes import Server, free_port, started
from benchmarks.traffic import HYBRID, LOOKUP, REALTIME, population, product_traffic
from potluck.scoring.releases import Release, Releases

REPO = PROJECT / "feature_repo"
REALTIME_SERVICE = "house_price_realtime"
HYBRID_SERVICE = "house_price_hybrid"
SERVICES = (REALTIME_SERVICE, HYBRID_SERVICE)
ROWS, ASKED_ROWS = 400, 60
AS_OF = "2026-06-01"
TREES: Sequence[Mapping[str, object]] = ({"num_iterations": 100}, {"num_iterations": 60})
"""Of the first version and the second."""
SWAP_SECONDS = 10.0


@dataclass(frozen=True)
class FaultGround:
    """All that the scenarios share."""

    home: Home
    redis: RedisServer
    versions: Sequence[Release]
    """The hybrid service's champion, and another version."""
    asks: Sequence[Ask]
    known: dict[tuple[str, str], object]

    @property
    def releases(self) -> Releases:
        return Releases(self.home.settings.releases)

    async def verb(self, *words: str, **environment: str) -> int:
        """Run a command while the load goes on; answers its exit code."""
        process = await asyncio.create_subprocess_exec(
            program("potluck"),
            *words,
            env={**self.home.environment, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return await process.wait()

    @contextmanager
    def server(
        self,
        *options: str,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Server]:
        """`potluck serve`, ready."""
        port = port or free_port()
        log = self.home.settings.home / "server.log"
        command = [program("potluck"), "serve", "--port", str(port), *options]
        own = {**self.home.environment, **(environment or {})}
        with started(command, port, own, log) as server:
            server.wait_ready("/readyz")
            yield server


@contextmanager
def ground() -> Iterator[FaultGround]:
    """Fill a home, and learn what is answered while all is well."""
    with tempfile.TemporaryDirectory(prefix="potluck-faults-") as folder:
        place = Path(folder)
        (place / "redis").mkdir()
        with durable_redis(place / "redis") as redis:
            home = home_on(place / "home", redis.url)
            versions = fill_home(home)
            laid = FaultGround(home, redis, versions, asks_of(home), {})
            learn(laid)
            yield laid


def home_on(folder: Path, redis_url: str) -> Home:
    folder.mkdir()
    settings = settings_of(folder, REPO)
    settings = settings.model_copy(update={"redis_url": redis_url})
    return Home(settings, environment(settings, str(folder)))


def fill_home(home: Home) -> list[Release]:
    """Two services with a model, a published night, and a second version of the hybrid one."""
    lay_down(home, Data(None, ROWS, 0), SERVICES, parameters=TREES[0])
    home.run("nightly", "--as-of", AS_OF)
    releases = Releases(home.settings.releases)
    first = releases.champion(HYBRID_SERVICE)
    train(home, HYBRID_SERVICE, TREES[1])
    home.run("promote", HYBRID_SERVICE)
    second = releases.champion(HYBRID_SERVICE)
    releases.promote(first)
    return [first, second]


def asks_of(home: Home) -> list[Ask]:
    """Each house's hybrid and real-time prediction, and its look-up."""
    hybrid = champion(home, HYBRID_SERVICE).contract
    realtime = champion(home, REALTIME_SERVICE).contract
    records = population(home, hybrid)[:ASKED_ROWS]
    traffic = product_traffic(hybrid, realtime, records)
    asks = []
    for place in range(len(records)):
        for kind in (HYBRID, REALTIME, LOOKUP):
            method, target, body = traffic[kind][place]
            content = None if body is None else body.encode()
            asks.append(Ask(kind, method, target, content))
    return asks


def learn(ground: FaultGround) -> None:
    """Ask all that will be asked, of both versions."""
    with ground.server() as server:
        for release in reversed(ground.versions):
            promote(ground, server.port, release)
            ground.known.update(asyncio.run(answers(server.port, ground.asks)))


def promote(ground: FaultGround, port: int, release: Release) -> None:
    """Promote a version and wait until the server has taken it up."""
    wanted = release.model_version
    ground.releases.promote(release)
    deadline = time.monotonic() + SWAP_SECONDS
    while asyncio.run(version(port)) != wanted:
        if time.monotonic() > deadline:
            raise SystemExit(f"the server did not take version {wanted} up")
        time.sleep(0.05)


async def version(port: int) -> str:
    """The hybrid service's version that the server answers with; empty where it does not say."""
    ask = Ask("", "GET", f"/services/{HYBRID_SERVICE}", None)
    status, body = await ask_once(port, ask)
    if status != 200:
        return ""
    return str(json.loads(body)["model_version"])


async def answers(port: int, asks: Sequence[Ask]) -> dict[tuple[str, str], Any]:
    found = {}
    for ask in asks:
        status, body = await ask_once(port, ask)
        if status != 200:
            raise SystemExit(f"{ask.target} is answered {status} while all is well: {body[:300]!r}")
        told = json.loads(body)
        found[ask.key, told["model_version"]] = told["prediction"]
    return found


async def ask_once(port: int, ask: Ask) -> tuple[int, bytes]:
    line = Line(port)
    try:
        await line.open()
        return await line.exchange(ask.sent)
    finally:
        line.close()
