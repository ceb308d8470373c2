"""Each verb in a process of its own, as a user starts it; other tests fork theirs.

A verb that leans on an import of another verb works in a fork and fails here.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from cli.main import VERBS
from potluck.redis.embedded import stop_redis

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "bring-your-own-data.md"
"""`tests/docs` runs its commands with the real `potluck`."""
POTLUCK = Path(sys.executable).with_name("potluck")
HERE = {"pull", "status", "env", "gc", "backup", "restore", "retire", "down", "schedule"}
LOGGED = {"log", "replay", "skew"}
"""`tests/monitoring/test_skew.py` runs them, on a home that has answered."""
UP = Path(__file__).with_name("test_up.py")
"""Starts `potluck up` in a process of its own."""


def test_each_verb_runs_cold_somewhere() -> None:
    commands = re.findall(r"^\$ (?:.*\| )?potluck ([a-z]+)", PAGE.read_text(), re.MULTILINE)
    assert {*commands, *HERE, *LOGGED, "up"} == set(VERBS)
    assert '[sys.executable, "-m", "cli.main", "up", *options]' in UP.read_text()


def test_verbs_that_no_page_shows_run_cold(iris: Any, tmp_path: Path) -> None:
    home, saved, restored = (tmp_path / name for name in ("home", "saved", "restored"))
    shutil.copytree(iris.as_built, home)
    stack = type(iris)(iris.repo, home)
    again = type(iris)(iris.repo, restored)
    ran = set()

    def run(owner: Any, verb: str, *words: str) -> str:
        ended = subprocess.run(
            [POTLUCK, verb, *words],
            env=owner.environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        ran.add(verb)
        return ended.stdout

    try:
        run(stack, "pull")
        told = run(stack, "status", "--json")
        assert f"MLFLOW_TRACKING_URI={home}" in run(stack, "env").replace("sqlite:///", "")
        run(stack, "gc")
        run(stack, "backup", str(saved))
        run(again, "restore", str(saved))
        run(again, "retire", iris.repo.hybrid)
        start_and_stop_schedule(stack)
        ran.add("schedule")
        run(stack, "down")
        served = run(again, "status", "--json")
    finally:
        stop_redis(stack.settings)
        stop_redis(again.settings)
    assert served.count(iris.repo.hybrid) < told.count(iris.repo.hybrid)
    assert ran == HERE


def start_and_stop_schedule(stack: Any) -> None:
    """Have `potluck schedule` wait for next year, and end it once it says so."""
    with subprocess.Popen(
        [POTLUCK, "schedule", "--cron", "0 3 1 1 *"],
        env=stack.environment,
        cwd=stack.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.terminate()
        rest = process.communicate(timeout=30)[0]
    assert "next" in said, said + rest
    assert "Traceback" not in rest
