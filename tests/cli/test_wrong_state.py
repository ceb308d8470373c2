"""Every verb over a home, data or stores that are spoilt or gone: an exit code, a line or two, no trace."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wrong import NOBODY, Spoil, Wrong, many, nothing, run, spoil_all, wrong

ANOTHER_HOME = [
    (nothing, [wrong("train nobody", "expected a feature service with a model")]),
    (nothing, [wrong("export nobody --to x.csv", "expected a precomputed service")]),
    (nothing, [wrong("export iris_batch --to x.txt", "ends with .csv or .parquet")]),
    (
        spoil_all("releases/champions/*.json", b"{no json"),
        [
            wrong("status", "`potluck pull`"),
            wrong("nightly", "`potluck pull`"),
            wrong("export iris_batch --to x.csv", "`potluck pull`"),
        ],
    ),
    (spoil_all("releases/bundles/*/MANIFEST.json", b"{no json"), [wrong("nightly", "`potluck pull`")]),
    (spoil_all("releases/bundles/*/model.txt", None), [wrong("nightly", "`potluck pull`")]),
    (
        spoil_all("feast.db", b"no database " * 99),
        [wrong(verb, "FEAST_REGISTRY_URL") for verb in ("apply", "materialize", "train iris_hybrid", "nightly")],
    ),
]


@pytest.fixture
def copied(iris: Any, tmp_path: Path) -> Iterator[Path]:
    """A copy of iris's home, for what would spoil the shared one. Until `apply` its registry names the shared data."""
    home = tmp_path / "home"
    shutil.copytree(iris.home, home, ignore=shutil.ignore_patterns("redis", "*.log"))
    yield home
    run(wrong("down", ""), tmp_path)


def test_a_fresh_home_that_lacks_a_step(tmp_path: Path) -> None:
    commands = [
        wrong("materialize", "potluck apply"),
        wrong("train iris_hybrid", "potluck apply"),
        wrong("nightly", "potluck train"),
        wrong("export iris_batch --to x.csv", "expected a precomputed service"),
        wrong("pull", "potluck train"),
    ]
    try:
        many(commands, tmp_path)
    finally:
        run(wrong("down", ""), tmp_path)


@pytest.mark.parametrize(("spoil", "commands"), ANOTHER_HOME)
def test_a_home_that_is_spoilt(spoil: Spoil, commands: list[Wrong], copied: Path, tmp_path: Path) -> None:
    spoil(copied)
    many(commands, tmp_path)


# `train` over a damaged file belongs here as soon as `training` tells it in a sentence of its own.
DATA = [
    (None, [wrong(verb, "potluck ingest") for verb in ("materialize", "train iris_hybrid", "nightly")]),
    (b"PAR1 no parquet PAR1", [wrong(verb, "potluck ingest") for verb in ("materialize", "nightly")]),
]


@pytest.mark.parametrize(("content", "commands"), DATA, ids=["gone", "damaged"])
def test_data_that_is_gone_or_damaged(
    content: bytes | None, commands: list[Wrong], copied: Path, tmp_path: Path
) -> None:
    assert run(wrong("apply", ""), tmp_path).returncode == 0
    spoil_all("data/iris/*.parquet", content)(copied)
    many(commands, tmp_path)


STORES = [
    wrong("materialize", "check REDIS_URL", REDIS_URL=f"redis://{NOBODY}"),
    wrong("nightly", "does not answer", REDIS_URL=f"redis://:secret@{NOBODY}"),
    wrong("export iris_batch --to x.csv", "does not answer", REDIS_URL=f"redis+cluster://{NOBODY}"),
    wrong("nightly", "does not answer", REDIS_URL="unix:///nowhere/redis.sock"),
    *(
        wrong(verb, "is FEAST_REGISTRY_URL right?", FEAST_REGISTRY_URL=url)
        for url in ("nonsense", "http://x", f"postgresql://u:secret@{NOBODY}/x", "sqlite:////etc/passwd")
        for verb in ("apply", "materialize", "train iris_hybrid", "nightly")
    ),
    wrong("train iris_realtime", "MLflow at", MLFLOW_TRACKING_URI=f"http://u:secret@{NOBODY}"),
    wrong("pull", "MLflow at", MLFLOW_TRACKING_URI=f"http://u:secret@{NOBODY}"),
]


@pytest.mark.parametrize("name", ["REDIS_URL", "FEAST_REGISTRY_URL", "MLFLOW_TRACKING_URI"])
def test_a_store_that_is_not_there(name: str, copied: Path, tmp_path: Path) -> None:
    commands = [found for found in STORES if name in found.environment]
    many(commands, tmp_path)
