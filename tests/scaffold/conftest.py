"""Tables as strangers bring them, and what `potluck init` makes of them."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import redis
from click.testing import CliRunner
from one_process import Ended, run_all
from strangers import STRANGERS, Stranger

from cli.main import potluck
from scaffold.decide import decide
from scaffold.plan import RepoPlan
from scaffold.profile import ProfiledTable
from scaffold.table import profile_table
from scaffold.wishes import Wishes, nobody_asked

Columns: TypeAlias = Mapping[str, Sequence[object]]
Write: TypeAlias = Callable[..., Path]
Look: TypeAlias = Callable[..., ProfiledTable]
Make: TypeAlias = Callable[..., RepoPlan]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write columns as a CSV file."""

    def write_file(columns: Columns, *, delimiter: str = ",", encoding: str = "utf-8") -> Path:
        path = tmp_path / "data.csv"
        with path.open("w", newline="", encoding=encoding) as file:
            out = csv.writer(file, delimiter=delimiter)
            out.writerow(columns)
            out.writerows(zip(*columns.values(), strict=True))
        return path

    return write_file


@pytest.fixture
def look(write: Write) -> Look:
    """What is found in columns, with some wishes."""

    def look_at(
        columns: Columns, *, delimiter: str = ",", encoding: str = "utf-8", **wishes: Any
    ) -> ProfiledTable:
        path = write(columns, delimiter=delimiter, encoding=encoding)
        return profile_table(path, Wishes(**wishes), nobody_asked)

    return look_at


@pytest.fixture
def make(write: Write) -> Make:
    """The plan for columns, with some wishes, where nobody can be asked."""

    def plan(columns: Columns, **wishes: Any) -> RepoPlan:
        wished = Wishes(**{"label": "y", **wishes})
        return decide(
            profile_table(write(columns), wished, nobody_asked), wished, "some", nobody_asked
        )

    return plan


@dataclass(frozen=True)
class Served:
    """A stranger's table with its three services."""

    stranger: Stranger
    file: Path
    stack: Any

    def run(self, *verbs: Sequence[str]) -> list[Ended]:
        """Run verbs in one process, whatever becomes of each."""
        return run_all([(verb, {}) for verb in verbs], self.stack.environment, self.stack.home)

    def ask(self, record: Mapping[str, Any]) -> Any:
        """What the hybrid service answers."""
        response = self.stack.post(f"/predict/{self.stack.repo.hybrid}", dict(record))
        assert response.status_code == 200, response.text
        return response.json()

    def published(self, entity: str | int) -> Any:
        """What was computed by night."""
        response = self.stack.get(f"/lookup/{self.stack.repo.batch}/{entity}")
        assert response.status_code == 200, response.text
        return response.json()["prediction"]

    def forget(self) -> None:
        """Empty the online store, so that what it answers afterwards was written afterwards."""
        with redis.from_url(self.stack.settings.embedded_redis_url) as store:
            store.flushall()

    def rewrite(self, name: str, *changes: tuple[str, str]) -> None:
        """Edit a file of the repo as its owner would."""
        path = self.stack.repo.path / name
        text = path.read_text()
        for old, new in changes:
            assert text.count(old) == 1, (old, text)
            text = text.replace(old, new)
        path.write_text(text)


def each_stranger() -> list[Any]:
    return [pytest.param(each, id=each.name) for each in STRANGERS]


@pytest.fixture(scope="session", params=each_stranger())
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """From the table to a server that answers."""
    stranger = request.param
    stacks = request.config.pluginmanager.get_plugin(str(Path(__file__).parents[1] / "conftest.py"))
    assert stacks is not None
    folder = tmp_path_factory.mktemp(stranger.name)
    file, repo = stranger.make(folder), folder / stranger.name
    ended = CliRunner().invoke(potluck, ["init", str(file), *stranger.flags, "--to", str(repo)])
    assert ended.exit_code == 0, ended.output
    services = [f"{stranger.name}_{kind}" for kind in ("realtime", "hybrid", "batch")]
    stack = stacks.Stack(stacks.Repo(stranger.name, repo, *services), folder / "home")
    stack.home.mkdir()
    try:
        models = [["train", service] for service in (stack.repo.realtime, stack.repo.hybrid)]
        stack.verbs(["ingest"], ["apply"], ["materialize"], *models, ["nightly"])
        stack.serve()
        yield Served(stranger, file, stack)
    finally:
        stack.stop()
        stack.verb("down")
