"""Runs a page of the docs in a shell, block by block, and compares what it prints with what the
page says.

A `console` block holds commands behind `$ ` and their output; `…` in an output stands for any text
of that line, and a line of `…` alone for any lines. A block below `<!-- file: NAME -->` is written
to that file; one below `<!-- shows: NAME -->` must be what the file holds, with the same `…`.
"""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(
    r"(?:<!-- (file|shows): (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
PROMPT = "$ "
READY_SECONDS = 60


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    kind: str
    """`file`, `shows`, or the block's language."""
    name: str
    text: str


@dataclass(frozen=True)
class Step:
    """One command, and what the page says that it prints."""

    command: str
    expected: str


def blocks_of(page: str) -> Iterator[Block]:
    for match in BLOCK.finditer(page):
        marked, name, language, text = match.groups()
        yield Block(marked or language, name or "", text)


def steps_of(text: str) -> list[Step]:
    steps = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        height = 1
        while lines[height - 1].endswith("\\"):
            height += 1
        steps.append(Step("\n".join(lines[:height]), "\n".join(lines[height:])))
    return steps


def pattern_of(expected: str) -> "re.Pattern[str]":
    """What an output must match: `…` is any text of a line, or any lines where it stands alone."""
    lines = [
        "(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + "\n"
        for line in expected.splitlines()
    ]
    return re.compile("".join(lines))


class Shell:
    """One bash for a whole page, in a folder of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        ours = ("POTLUCK_", "REDIS_URL", "MLFLOW_TRACKING_URI", "FEAST_REGISTRY_URL")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        home = {"POTLUCK_HOME": str(folder / ".potluck"), "POTLUCK_URL": f"http://127.0.0.1:{port}"}
        self.state = folder / "state.sh"
        self.state.write_text("")
        self.environment = {**kept, **home, "PATH": path}

    def run(self, command: str) -> str:
        """What a command prints, on both outputs, without empty lines at the end; exports live
        on."""
        if command.endswith("&"):
            return self.begin(command.removesuffix("&").strip())
        script = f". {self.state}\n{command}\nended=$?\nexport -p > {self.state}\nexit $ended\n"
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return ended.stdout.rstrip("\n")

    def begin(self, command: str) -> str:
        """Start a server in the background, on the port of this test."""
        with (self.folder / "background.log").open("ab") as log:
            script = f". {self.state}\nexec {command} --port {self.port}"
            self.background = subprocess.Popen(
                ["bash", "-c", script],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(
                    f"{self.environment['POTLUCK_URL']}/readyz", timeout=1
                ).close()
                return ""
            except OSError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "background.log").read_text())

    def end(self) -> None:
        """Stop what the page started."""
        if hasattr(self, "background"):
            self.background.terminate()
            self.background.wait(30)
        self.run("potluck down")


def follow(page: str, shell: Shell) -> list[str]:
    """Do what a page says; answers where it says something else than what happened."""
    stale = []
    for block in blocks_of(page):
        target = shell.folder / block.name
        if block.kind == "file":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        elif block.kind == "shows":
            if not pattern_of(block.text).fullmatch(target.read_text()):
                stale.append(f"{block.name} holds\n{target.read_text()}")
        elif block.kind == "console":
            stale += check_console(block.text, shell)
    return stale


def check_console(text: str, shell: Shell) -> list[str]:
    stale = []
    for step in steps_of(text):
        printed = shell.run(step.command)
        if not pattern_of(step.expected).fullmatch(printed + "\n" if printed else ""):
            stale.append(f"$ {step.command}\n{printed}\n--- the page says\n{step.expected}")
    return stale
