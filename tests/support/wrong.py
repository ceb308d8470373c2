"""Commands with something wrong, and what must come of them."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import warm_python
from one_process import run_all

ROOT = Path(__file__).resolve().parents[2]
HOUSES, IRIS = ROOT / "feature_repo", ROOT / "examples" / "iris"
EXIT_CODES = {1, 2, 65, 75}
MOST_LINES = 6
OURS = ("POTLUCK_", "REDIS_URL", "MLFLOW_TRACKING_URI", "FEAST_REGISTRY_URL")
NOBODY = "127.0.0.1:9"


@dataclass(frozen=True)
class Wrong:
    """A command that can't be done, and what its message must say."""

    words: tuple[str, ...]
    says: str
    environment: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([*self.words, *self.environment.values()])[:60]


def wrong(command: str, says: str, **environment: str) -> Wrong:
    return Wrong(tuple(command.split()), says, environment)


def check(found: Wrong, code: int, said: str) -> None:
    assert code in EXIT_CODES, (str(found), code, said)
    assert "Traceback" not in said
    assert "unexpected failure" not in said, said
    assert found.says in said, said
    assert len(said.strip().splitlines()) <= MOST_LINES, said


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


def run(found: Wrong, folder: Path, repo: Path = IRIS) -> "subprocess.CompletedProcess[str]":
    given = {"POTLUCK_HOME": str(folder / "home"), "POTLUCK_REPO": str(repo), **found.environment}
    command = [sys.executable, "-m", "cli.main", *found.words]
    environment = {**clean_environment(), **given}
    return warm_python.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=120,
        check=False,
    )


def many(commands: list[Wrong], folder: Path) -> None:
    """Run commands one after the other in one process: importing Feast takes seconds."""
    home = {"POTLUCK_HOME": str(folder / "home"), "POTLUCK_REPO": str(IRIS)}
    asked = [(found.words, {**home, **found.environment}) for found in commands]
    for found, ended in zip(commands, run_all(asked, clean_environment(), folder), strict=True):
        check(found, ended.code, ended.err)


Spoil: TypeAlias = Callable[[Path], None]


def spoil_all(pattern: str, content: bytes | None) -> Spoil:
    def spoil(home: Path) -> None:
        for path in filter(Path.is_file, home.glob(pattern)):
            path.unlink()
            if content is not None:
                path.write_bytes(content)

    return spoil


def nothing(_: Path) -> None:
    pass
