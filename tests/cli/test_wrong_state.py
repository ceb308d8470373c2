"""Verbs over a home, data or stores that are spoilt or gone: an exit code, a line, no trace."""

import shutil
from collections.abc import Callable, Iterator
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
    (
        spoil_all("releases/bundles/*/MANIFEST.json", b"{no json"),
        [wrong("nightly", "`potluck pull`")],
    ),
    (spoil_all("releases/bundles/*/model.txt", None), [wrong("nightly", "`potluck pull`")]),
    (
        spoil_all("feast.db", b"no database " * 99),
        [
            wrong(verb, "FEAST_REGISTRY_URL")
            for verb in ("apply", "materialize", "train iris_hybrid", "nightly")
        ],
    ),
    (
        spoil_all("mlflow.db", b"no database " * 99),
        [
            wrong(verb, "MLFLOW_TRACKING_URI")
            for verb in (
                "train iris_hybrid",
                "pull",
                "promote iris_hybrid",
                "compare iris_hybrid",
                "retire iris_hybrid",
            )
        ],
    ),
]


@pytest.fixture
def copied(iris: Any, tmp_path: Path) -> Iterator[Path]:
    """A copy of iris's home, for what would spoil the shared one.

    Until `apply` its registry names the shared data.
    """
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
def test_a_home_that_is_spoilt(
    spoil: Spoil, commands: list[Wrong], copied: Path, tmp_path: Path
) -> None:
    spoil(copied)
    many(commands, tmp_path)


DATA_VERBS = ("check", "materialize", "train iris_hybrid", "nightly --force x")


def torn(whole: bytes) -> bytes:
    """The footer tells what the pages do not hold any more."""
    kept = len(whole) * 2 // 5
    return whole[:4] + b"\xff" * kept + whole[4 + kept :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "no parquet": lambda _: b"PAR1 no parquet PAR1",
    "cut off": lambda whole: whole[: len(whole) // 2],
    "other pages": torn,
}


def test_data_that_are_gone(copied: Path, tmp_path: Path) -> None:
    assert run(wrong("apply", ""), tmp_path).returncode == 0
    spoil_all("data/iris/*.parquet", None)(copied)
    many([wrong(verb, "potluck ingest") for verb in DATA_VERBS], tmp_path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_data_that_are_damaged_until_they_are_ingested_again(
    damage: str, copied: Path, tmp_path: Path
) -> None:
    assert run(wrong("apply", ""), tmp_path).returncode == 0
    for path in (copied / "data" / "iris").glob("*.parquet"):
        if path.is_file():
            spoilt = DAMAGES[damage](path.read_bytes())
            path.unlink()
            path.write_bytes(spoilt)
    verbs = (
        DATA_VERBS if damage == "other pages" else ("apply", *DATA_VERBS)
    )  # apply reads footers alone
    named = ("source ", f"({copied}/data/iris/", "potluck ingest")
    many([wrong(verb, says) for says in named for verb in verbs], tmp_path)
    assert run(wrong("ingest --replace", ""), tmp_path).returncode == 0


STORES = [
    wrong("materialize", "check REDIS_URL", REDIS_URL=f"redis://{NOBODY}"),
    wrong("nightly", "does not answer", REDIS_URL=f"redis://:secret@{NOBODY}"),
    wrong("export iris_batch --to x.csv", "does not answer", REDIS_URL=f"redis+cluster://{NOBODY}"),
    wrong("nightly", "does not answer", REDIS_URL="unix:///nowhere/redis.sock"),
    *(
        wrong(verb, "is FEAST_REGISTRY_URL right?", FEAST_REGISTRY_URL=url)
        for url in (
            "nonsense",
            "http://x",
            f"postgresql://u:secret@{NOBODY}/x",
            "sqlite:////etc/passwd",
        )
        for verb in ("apply", "materialize", "train iris_hybrid", "nightly")
    ),
    *(
        wrong(verb, "is MLFLOW_TRACKING_URI right?", MLFLOW_TRACKING_URI=url)
        for url in (
            f"postgresql+psycopg://u:secret@{NOBODY}/x",
            "sqlite:////etc/passwd",
            "sqlite:////nowhere/x.db",
        )
        for verb in ("train iris_realtime", "pull", "promote iris_hybrid")
    ),
    wrong(
        "pull", "whose driver is not installed", MLFLOW_TRACKING_URI=f"mysql://u:secret@{NOBODY}/x"
    ),
    wrong("train iris_realtime", "MLflow at", MLFLOW_TRACKING_URI=f"http://u:secret@{NOBODY}"),
    wrong("pull", "MLflow at", MLFLOW_TRACKING_URI=f"http://u:secret@{NOBODY}"),
]


@pytest.mark.parametrize("name", ["REDIS_URL", "FEAST_REGISTRY_URL", "MLFLOW_TRACKING_URI"])
def test_a_store_that_is_not_there(name: str, copied: Path, tmp_path: Path) -> None:
    commands = [found for found in STORES if name in found.environment]
    many(commands, tmp_path)
