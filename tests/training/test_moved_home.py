"""A home that was moved goes on: MLflow's artifacts are found where they lie now."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from potluck.contract.errors import ServiceUnreachable
from potluck.contract.settings import Settings
from training.moved import COLUMNS, artifact_columns, follow_home


@pytest.fixture
def moved(iris: Any, tmp_path: Path) -> Any:
    """A copy of the iris home that was used under one name and then moved to another."""
    first, second = tmp_path / "first", tmp_path / "second place"
    shutil.copytree(iris.home, first, ignore=shutil.ignore_patterns("redis", "*.log"))
    assert follow_home(Settings(home=first)) == [(iris.home / "mlartifacts").as_uri()]
    type(iris)(iris.repo, first).verbs(["apply"])
    first.rename(second)
    return type(iris)(iris.repo, second)


def mentions(home: Path, text: str) -> int:
    """How many URIs in MLflow's database hold this text."""
    with sqlite3.connect(home / "mlflow.db") as database:
        found = [
            database.execute(f"SELECT count(*) FROM {table} WHERE {column} LIKE ?", [f"%{text}%"])
            for table, column in artifact_columns(database)
        ]
        return sum(rows.fetchone()[0] for rows in found)


def told(stack: Any, *words: str) -> Any:
    ended = stack.verb(*words, "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_a_version_is_fetched_promoted_and_trained_in_a_moved_home(moved: Any) -> None:
    hybrid = moved.repo.hybrid
    assert mentions(moved.home, "first/mlartifacts") > 2
    shutil.rmtree(moved.home / "releases")
    assert {each["changed"] for each in told(moved, "pull")} == {True}
    assert mentions(moved.home, "first/mlartifacts") == 0
    try:
        moved.verbs(["apply"])
        trained = told(moved, "train", hybrid, "--param", "num_iterations=5")
        assert told(moved, "promote", hybrid, trained["model_version"])["changed"]
        assert told(moved, "promote", hybrid, "1")["changed"]
        assert told(moved, "compare", hybrid, "1", trained["model_version"])["versions"]
    finally:
        moved.verb("down")


def test_feast_says_what_to_do_in_a_moved_home(moved: Any) -> None:
    """Its registry holds absolute paths, and is made anew by `apply`."""
    ended = moved.verb("train", moved.repo.hybrid)
    assert ended.returncode == 1
    assert "potluck apply" in ended.stderr
    assert "first" in ended.stderr


def test_a_home_that_stays_is_left_as_it_is(iris: Any) -> None:
    before = (iris.home / "mlflow.db").stat().st_mtime_ns
    assert follow_home(iris.settings) == []
    assert (iris.home / "mlflow.db").stat().st_mtime_ns == before


def test_places_that_somebody_chose_stay(moved: Any) -> None:
    with sqlite3.connect(moved.home / "mlflow.db") as database:
        columns = "(name, artifact_location, lifecycle_stage)"
        database.execute(
            f"INSERT INTO experiments {columns} VALUES ('own', 's3://x/mlartifacts', 'active')"
        )
    database.close()
    follow_home(moved.settings)
    assert mentions(moved.home, "s3://x/mlartifacts") == 1


def test_a_database_of_an_older_mlflow_has_not_all_columns(tmp_path: Path) -> None:
    (tmp_path / "mlartifacts").mkdir()
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE experiments (artifact_location TEXT)")
        database.execute("INSERT INTO experiments VALUES ('file:///former/mlartifacts')")
    database.close()
    assert follow_home(Settings(home=tmp_path)) == ["file:///former/mlartifacts"]
    assert follow_home(Settings(home=tmp_path)) == []


def test_a_database_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlartifacts").mkdir()
    (tmp_path / "mlflow.db").write_bytes(
        b"no database at all, but long enough to look like one" * 40
    )
    with pytest.raises(ServiceUnreachable, match="can't be told of it: file is not a database"):
        follow_home(Settings(home=tmp_path))


def test_the_columns_are_those_of_this_mlflow(iris: Any) -> None:
    with sqlite3.connect(iris.home / "mlflow.db") as database:
        assert set(artifact_columns(database)) == set(COLUMNS)
