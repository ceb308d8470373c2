"""A Dockerfile's stages and steps, read from the file itself."""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BUILD = ["ENV", "RUN", "WORKDIR", "COPY"]
START = ["USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD", "ENTRYPOINT"]
WORDS = frozenset([*BUILD, *START])


@dataclass(frozen=True)
class Step:
    """One instruction of a stage: its first word, and the rest of its line."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.rest)

    @property
    def argv(self) -> list[str]:
        """The command of a CMD, ENTRYPOINT or HEALTHCHECK in JSON."""
        return list(map(str, json.loads(self.rest[self.rest.index("[") :])))

    @property
    def variables(self) -> dict[str, str]:
        """What an ENV sets."""
        return dict(word.split("=", 1) for word in self.words)

    @property
    def script(self) -> str:
        """What a RUN hands to the shell."""
        return re.sub(r"^(--mount=\S+\s+)*", "", self.rest)

    @property
    def mounts(self) -> list[dict[str, str]]:
        """The options of each `--mount=` of a RUN."""
        found = re.findall(r"--mount=(\S+)", self.rest)
        return [dict(option.split("=", 1) for option in mount.split(",")) for mount in found]


@dataclass(frozen=True)
class Stage:
    """What stands between one FROM and the next."""

    base: str
    name: str
    steps: Sequence[Step]

    def last(self, word: str) -> Step | None:
        return next((step for step in reversed(self.steps) if step.word == word), None)


def read_dockerfile(path: Path) -> dict[str, Stage]:
    """The stages by name.

    Raises:
        ValueError: a step that this reader does not know.
    """
    stages: dict[str, Stage] = {}
    steps: list[Step] = []
    for line in logical_lines(path.read_text()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.split()
            steps = []
            stages[name] = Stage(base, name, steps)
        elif word in WORDS:
            steps.append(Step(word, rest.strip()))
        else:
            raise ValueError(f"expected one of {sorted(WORDS)} in {path.name}, found {word}")
    return stages


def logical_lines(text: str) -> list[str]:
    """Without comments and empty lines, continued lines joined."""
    kept = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return re.sub(r"\\\n\s*", "", "\n".join(kept)).splitlines()
