"""A backup that is made while everything runs, restored elsewhere, answers the same to the bit."""

import json
import shutil
import sqlite3
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import warm_python

from cli.upkeep.home_copy import copy_database


@pytest.fixture(scope="module")
def backup(iris: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Made while the server is asked and a nightly run writes."""
    target = tmp_path_factory.mktemp("kept") / "backup"
    stopping, failed = threading.Event(), []

    def ask() -> None:
        with httpx.Client(timeout=30) as client:
            while not stopping.is_set():
                answer = client.get(f"{iris.url}/lookup/{iris.repo.batch}/70")
                failed.extend([answer.text] if answer.status_code != 200 else [])

    night = threading.Thread(target=lambda: iris.verb("nightly", "--as-of", "2026-06-02"))
    asking = threading.Thread(target=ask)
    asking.start()
    night.start()
    made = iris.verb("backup", str(target), "--json")
    night.join()
    stopping.set()
    asking.join()
    assert made.returncode == 0, made.stderr
    assert failed == []
    told = json.loads(made.stdout)
    assert told["files"] > 10
    assert told["not_in_it"] == []
    yield target
    # Others share this home, and know its first night.
    assert iris.verb("nightly", "--rollback").returncode == 0


@pytest.fixture(scope="module")
def elsewhere(iris: Any, backup: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The backup as a home of its own, served."""
    home = tmp_path_factory.mktemp("elsewhere") / "home"
    stack = replace(iris, home=home, process=None)
    restored = replace(stack, home=home.parent).python(RESTORE, str(home), str(backup))
    assert "it can be served" in restored
    assert "run `potluck apply`" in restored
    stack.serve()
    yield stack
    stack.stop()
    stack.verb("down")


RESTORE = """
import os, sys
os.environ["POTLUCK_HOME"] = sys.argv[1]
from cli.main import potluck
potluck.main(["restore", sys.argv[2]], standalone_mode=False)
"""


def answers(stack: Any) -> list[Any]:
    found = []
    for row in stack.population()[:50]:
        predicted = stack.post(f"/predict/{stack.repo.hybrid}", row).json()
        looked_up = stack.get(f"/lookup/{stack.repo.batch}/{row['flower_id']}").json()
        found += [predicted["prediction"], predicted["probabilities"], looked_up["prediction"]]
    return found


def test_the_restored_home_answers_the_same_to_the_bit(iris: Any, elsewhere: Any) -> None:
    assert answers(elsewhere) == answers(iris)
    assert elsewhere.get("/readyz").json()["online_store"] is True


def test_its_status_is_right(iris: Any, elsewhere: Any) -> None:
    here, there = (json.loads(each.verb("status", "--json").stdout) for each in (iris, elsewhere))
    assert there["home"] == str(elsewhere.home)
    assert there["champions"] == here["champions"]
    assert (there["redis"], there["stack"]) == ("answers", "down")
    assert there["orphans"] == there["processes"] == {}


def test_verbs_go_on_there_after_apply(elsewhere: Any) -> None:
    """The night that was under way is done or done again; the one before is known."""
    elsewhere.verbs(["apply"], ["materialize"], ["nightly", "--as-of", "2026-06-03"])
    as_of = elsewhere.get(f"/lookup/{elsewhere.repo.batch}/70").json()["as_of"]
    assert as_of.startswith("2026-06-03")


def test_no_lock_and_nothing_half_written_is_in_it(backup: Path) -> None:
    names = {path.name for path in backup.rglob("*")}
    assert {"backup.json", "feast.db", "mlflow.db", "appendonly.aof", "champions"} <= names
    assert [name for name in names if name.startswith((".potluck-", ".ingest", ".lock"))] == []
    assert "up.pid" not in names


def run_restore(iris: Any, home: Path, backup: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "cli.main", "restore", str(backup)]
    environment = {**iris.environment, "POTLUCK_HOME": str(home)}
    ended = warm_python.run(command, env=environment, capture_output=True, text=True)
    return ended.returncode, ended.stderr


def test_a_changed_backup_is_refused_and_nothing_is_left(
    iris: Any, backup: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(backup, changed)
    model = next(changed.rglob("model.txt"))
    model.write_text(model.read_text()[:-1])
    code, said = run_restore(iris, tmp_path / "home", changed)
    assert (code, "model.txt of the backup is gone or changed" in said) == (1, True)
    (changed / "backup.json").unlink()
    code, said = run_restore(iris, tmp_path / "home", changed)
    assert (code, "found no backup.json" in said) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["changed"]


def test_a_newer_backup_is_refused(iris: Any, backup: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    newer.mkdir()
    described = json.loads((backup / "backup.json").read_text())
    (newer / "backup.json").write_text(json.dumps({**described, "format": 2}))
    code, said = run_restore(iris, tmp_path / "home", newer)
    assert code == 1
    assert "upgrade Potluck" in said


def test_nothing_is_overwritten(iris: Any, backup: Path, tmp_path: Path) -> None:
    assert run_restore(iris, iris.home, backup)[0] == 2
    assert iris.verb("backup", str(backup)).returncode == 2
    inside = iris.verb("backup", str(iris.home / "backup"))
    assert inside.returncode == 2
    assert "outside the home" in inside.stderr


def test_a_database_is_copied_as_of_one_moment_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    writer = sqlite3.connect(path)
    writer.execute("CREATE TABLE rows (number INTEGER)")
    writer.executemany("INSERT INTO rows VALUES (?)", [(number,) for number in range(10)])
    writer.commit()
    writer.execute("INSERT INTO rows VALUES (10)")  # not committed
    copy_database(path, tmp_path / "two.db")
    writer.close()
    copy = sqlite3.connect(tmp_path / "two.db")
    assert copy.execute("SELECT count(*) FROM rows").fetchone() == (10,)
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
