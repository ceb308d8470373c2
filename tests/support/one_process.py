"""Several verbs in one process: importing Feast takes seconds."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import warm_python

RUN = """
import contextlib, io, json, os, sys
from cli.main import main
for words, environment in json.loads(sys.stdin.read()):
    os.environ.update(environment)
    sys.argv = ["potluck", *words]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""
SECONDS = 300


@dataclass(frozen=True)
class Ended:
    """How a verb ended."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> Any:
        """What it answered to --json."""
        assert self.code == 0, self.err
        return json.loads(self.out)


def run_all(
    commands: Sequence[tuple[Sequence[str], Mapping[str, str]]],
    environment: Mapping[str, str],
    folder: Path,
) -> list[Ended]:
    """Run commands one after the other, whatever becomes of each.

    Args:
        commands: each one's words, and what of the environment is its own; the ones after it keep
            it.
    """
    ended = warm_python.run(
        [sys.executable, "-W", "ignore", "-c", RUN],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        env=dict(environment),
        cwd=folder,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return [Ended(*json.loads(line)) for line in ended.stdout.splitlines()]
