"""From a stranger's table to three answers: `init`, every verb, a server, and an append."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tables import bank, comics, letters, taxi

from cli.main import potluck


def param(make: Any, *words: str, **options: Any) -> Any:
    """A table and the flags of `init`; the tests of one share a stack, so they run in one worker."""
    marks = [pytest.mark.xdist_group(make.__name__), *options.get("marks", [])]
    return pytest.param((make, words), id=make.__name__, marks=marks)


STRANGERS = [
    param(bank, "--label", "y"),
    param(comics, "--label", "ALIVE"),
    param(taxi, "--label", "fare"),
    param(letters, "--label", "glyph", "--key", "writer"),
]


@pytest.fixture(scope="module", params=STRANGERS)
def stranger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The services of a table that nobody here has seen."""
    make, words = request.param
    stacks = request.config.pluginmanager.get_plugin(str(Path(__file__).parents[1] / "conftest.py"))
    assert stacks is not None
    folder = tmp_path_factory.mktemp(make.__name__)
    name, repo = make.__name__, folder / make.__name__
    ended = CliRunner().invoke(potluck, ["init", str(make(folder)), *words, "--to", str(repo)])
    assert ended.exit_code == 0, ended.output
    services = [f"{name}_{kind}" for kind in ("realtime", "hybrid", "batch")]
    stack = stacks.Stack(stacks.Repo(name, repo, *services), folder / "home")
    stack.home.mkdir()
    try:
        models = [["train", service] for service in (stack.repo.realtime, stack.repo.hybrid)]
        stack.verbs(["ingest"], ["apply"], ["materialize"], *models, ["nightly"])
        stack.serve()
        yield stack
    finally:
        stack.stop()
        stack.verb("down")


def examples(repo: Path) -> list[str]:
    """What the README of the repo tells to send: the real-time record, the hybrid one, and an id."""
    lines = (repo / "README.md").read_text().splitlines()
    told = [line for line in lines if line.startswith(("potluck predict", "potluck lookup"))]
    return [line.split(" ", 3)[3].strip("'") for line in told]


def test_a_strangers_table_becomes_three_services_that_answer(stranger: Any) -> None:
    request, keyed, entity = examples(stranger.repo.path)
    realtime = stranger.post(f"/predict/{stranger.repo.realtime}", request.encode()).json()
    hybrid = stranger.post(f"/predict/{stranger.repo.hybrid}", keyed.encode()).json()
    assert (realtime["served_by"], hybrid["served_by"]) == ("realtime", "hybrid")
    looked_up = stranger.get(f"/lookup/{stranger.repo.batch}/{entity}").json()
    for answer in (realtime, hybrid, looked_up):
        assert isinstance(answer["prediction"], float if stranger.repo.name == "taxi" else str)
    if stranger.repo.name != "letters":  # where an id has one row, the night scores the one that README shows
        assert looked_up["prediction"] == hybrid["prediction"]


def test_the_same_table_appended_changes_nothing(stranger: Any) -> None:
    again = stranger.verb("ingest", "--append", "--json")
    if stranger.repo.name == "bank":
        assert (again.returncode, "no id" in again.stderr or "an id" in again.stderr) == (2, True)
        return
    told = json.loads(again.stdout)
    assert told["before"] == {name: told["rows"][name] for name in told["before"]}
    for account in told["accounts"]:
        assert account["came"] == account["kept"] + sum(each["count"] for each in account["left_out"])
