"""Verbs and Feast's SDK fill and read Sentinel and a Cluster as they do the home's own Redis."""

import dataclasses
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import warm_python
from redis_servers import Processes

from potluck.contract.redis_format import entity_key
from potluck.redis.client import redis_client
from potluck.redis.embedded import client, stop_redis

ROOT = Path(__file__).resolve().parent.parent.parent

FILL_AND_READ = """
import json, sys
from cli.main import potluck
for verb in json.loads(sys.argv[1]):
    potluck.main(verb, standalone_mode=False)
from potluck.contract.settings import load_settings
from potluck.stores.definitions.repo import open_store
features = ["petal_record:petal_length"]
features += [f"species_predictions:{name}" for name in ("prediction", "run_id")]
rows = [{"flower_id": number} for number in (0, 70, 149)]
print(json.dumps(open_store(load_settings().repo).get_online_features(features, rows).to_dict()))
"""
FILL = [
    ["materialize", "--force", "the one that is there belongs to nobody"],
    ["nightly", "--as-of", "2026-06-01"],
]


def online(stack: Any, verbs: list[list[str]], **variables: str) -> Any:
    command = [sys.executable, "-W", "ignore", "-c", FILL_AND_READ, json.dumps(verbs)]
    environment = {**stack.environment, **variables}
    ended = warm_python.run(
        command, env=environment, capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def built(iris: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The home as it was built: other tests train and publish in the shared one."""
    home = tmp_path_factory.mktemp("built") / "home"
    shutil.copytree(iris.as_built, home)
    stack = dataclasses.replace(iris, home=home)
    yield stack
    stop_redis(stack.settings)


@pytest.fixture(scope="module")
def at_home(built: Any) -> Any:
    return online(built, [])


@pytest.fixture(params=["sentinel", "cluster"])
def url(request: pytest.FixtureRequest, shared_processes: Processes) -> str:
    if request.param == "cluster":
        return f"redis+cluster://127.0.0.1:{request.getfixturevalue('cluster')[0].port}"
    sentinel = shared_processes.sentinel(shared_processes.start(), "ours")
    return f"redis+sentinel://127.0.0.1:{sentinel.port}/ours/1"


def test_what_is_filled_reads_the_same_and_what_left_is_pruned(
    built: Any, at_home: Any, url: str
) -> None:
    home, elsewhere = client(built.settings), redis_client(url)
    present, gone = (
        entity_key("iris", ["flower_id"], [number], ["int64"]) for number in (70, 9999)
    )
    elsewhere.hset(gone, mapping={**home.hgetall(present), b"another view's": b"stays"})
    assert None not in at_home["prediction"]
    assert online(built, FILL, REDIS_URL=url) == at_home
    assert elsewhere.hgetall(gone) == {b"another view's": b"stays"}
    assert elsewhere.hlen(present) > 1
    for name in list(elsewhere.scan_iter(b"*")):
        elsewhere.delete(name)
