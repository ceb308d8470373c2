"""What the fault table of docs/operations.md says and no other test shows."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import warm_python
from redis_servers import Processes, RedisProcess, wait_until

from benchmarks.faults.load import Ask, Load
from benchmarks.faults.stage import command
from benchmarks.processes import Server, free_port, session_of, started
from potluck.scoring.releases import Release, Releases

REPLACED_SECONDS = 40.0
SWAPS = 6


@contextmanager
def server_of(stack: Any, folder: Path, *options: str, **environment: str) -> Iterator[Server]:
    """A server of the stack's home, in another environment."""
    port = free_port()
    words = [sys.executable, "-m", "cli.main", "serve", "--port", str(port), *options]
    log = folder / "server.log"
    with started(words, port, {**stack.environment, **environment}, log) as server:
        server.wait_ready("/readyz")
        yield server


def answered(stack: Any, server: Server, path: str, body: Any = None) -> tuple[int, Any]:
    url = f"http://127.0.0.1:{server.port}{path}"
    told = stack.client.post(url, content=json.dumps(body)) if body else stack.client.get(url)
    return told.status_code, told.json()


def verb(stack: Any, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return warm_python.run(
        [sys.executable, "-W", "ignore", "-m", "cli.main", *words, "--json"],
        env={**stack.environment, **environment},
        cwd=stack.home,
        capture_output=True,
        text=True,
        timeout=300,
    )


def url_of(redis: RedisProcess) -> str:
    return f"redis://127.0.0.1:{redis.port}"


def test_an_emptied_redis_is_told_from_one_that_is_away(
    iris: Any,
    processes: Processes,
    tmp_path: Path,
) -> None:
    row = iris.population()[0]
    sepals = {name: value for name, value in row.items() if name != "flower_id"}
    with server_of(iris, tmp_path, REDIS_URL=url_of(processes.start())) as server:
        assert answered(iris, server, "/predict/iris_realtime", sepals)[0] == 200
        status, body = answered(iris, server, "/predict/iris_hybrid", row)
        assert (status, body["error_code"]) == (404, "ENTITY_NOT_FOUND")
        status, body = answered(iris, server, f"/lookup/iris_batch/{row['flower_id']}")
        assert (status, body["error_code"]) == (503, "MODEL_NOT_READY")
        status, body = answered(iris, server, "/readyz")
        assert (status, body["online_store"]) == (200, True)


def test_a_full_redis_stops_materialize_and_no_reader(
    iris: Any,
    processes: Processes,
    tmp_path: Path,
) -> None:
    redis = processes.start("--maxmemory-policy", "noeviction")
    url, row = url_of(redis), iris.population()[0]
    assert verb(iris, "materialize", REDIS_URL=url).returncode == 0
    redis.client.config_set("maxmemory", int(redis.client.info("memory")["used_memory"]))
    with server_of(iris, tmp_path, REDIS_URL=url) as server:
        before = answered(iris, server, "/predict/iris_hybrid", row)
        ended = verb(iris, "materialize", REDIS_URL=url)
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        status, body = answered(iris, server, "/predict/iris_hybrid", row)
    assert (status, body["prediction"]) == (200, before[1]["prediction"])
    redis.client.config_set("maxmemory", 0)
    assert verb(iris, "materialize", REDIS_URL=url).returncode == 0


def workers_of(server: Server) -> list[int]:
    return [pid for pid in session_of(server.process.pid) if "spawn_main" in command(pid)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_worker_that_is_killed_or_frozen_is_replaced(
    iris: Any,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    row = iris.population()[0]
    with server_of(iris, tmp_path, "--workers", "2") as server:
        wait_until(lambda: len(workers_of(server)) == 2)
        victim, other = workers_of(server)
        # The supervisor asks twice a second. One that has not answered yet may take its time.
        time.sleep(2)
        os.kill(victim, number)
        deadline = time.monotonic() + REPLACED_SECONDS
        while not set(workers_of(server)) - {victim, other}:
            assert time.monotonic() < deadline, "nobody took its place"
            time.sleep(0.05)
        assert victim not in workers_of(server)
        for _ in range(20):
            iris.client.close()
            iris.client = type(iris.client)(timeout=30)
            assert answered(iris, server, "/predict/iris_hybrid", row)[0] == 200


@pytest.fixture
def releases(iris: Any) -> Iterator[Releases]:
    """The home's releases; the champion is put back afterwards."""
    releases = Releases(iris.settings.releases)
    champion = releases.champion("iris_hybrid")
    yield releases
    releases.promote(champion)


def test_no_request_notices_that_champions_are_swapped(iris: Any, releases: Releases) -> None:
    """The other version is the same bundle under another name, so both answer alike."""
    champion = releases.champion("iris_hybrid")
    other = Release(champion.service, champion.digest, "another")
    bodies = [json.dumps(row).encode() for row in iris.population()[:40]]
    asks = [Ask("hybrid", "POST", "/predict/iris_hybrid", body) for body in bodies]
    prices = {ask.key: iris.post(ask.target, ask.body).json()["prediction"] for ask in asks}
    versions = (champion.model_version, other.model_version)
    known = {(key, version): prices[key] for key, version in product(prices, versions)}

    async def swap(load: Load) -> None:
        running = asyncio.create_task(load.run())
        for turn in range(SWAPS):
            release = (other, champion)[turn % 2]
            releases.promote(release)
            while await asyncio.to_thread(served, iris) != release.model_version:
                await asyncio.sleep(0.05)
        load.stopped = True
        await running

    load = Load(iris.port, asks, known)
    asyncio.run(asyncio.wait_for(swap(load), 120))
    assert [each for each in load.asked if not each.good] == []
    assert len(load.asked) > SWAPS


def served(stack: Any) -> str:
    return str(stack.get("/services/iris_hybrid").json()["model_version"])
