"""From version 0.1.0 to this one and back, with servers of both answering throughout.

The home, its Redis and its registry are made by the commit of that version, out of this repo's
history, on the packages that are installed.
"""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis_servers import free_port

from batch.profile import PROFILE, Profile
from batch.runs import Manifest, Runs
from cli.nightly.due_runs import ScheduleRecord, write_record
from potluck.contract.feed import Feed
from potluck.contract.publication import Pointer
from potluck.scoring.releases import Release, Releases

ROOT = Path(__file__).resolve().parents[2]
FIRST = "98a99f46212d898f1a2ad77908c65a6dbf94973d"
"""The commit of version 0.1.0."""
LAST = "9f6d4fe0609e43b18a55f6477a07242dd5b1088a"
"""The last commit whose state carried no format."""
PATIENCE_SECONDS = 120
THEN = datetime(2026, 1, 1, tzinfo=UTC)
HYBRID, REALTIME, BATCH = "iris_hybrid", "iris_realtime", "iris_batch"
RECORD = {"flower_id": 70, "sepal_length": 5.9, "sepal_width": 3.2}

RUN_VERBS = """
import json, sys
from cli.main import potluck
for words in json.loads(sys.argv[1]):
    potluck.main(words, standalone_mode=False)
"""


@dataclass(frozen=True)
class Version:
    """The code of a version, at work on a home."""

    root: Path
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        ours = ("POTLUCK_", "REDIS_URL", "MLFLOW_TRACKING_URI", "FEAST_REGISTRY_URL")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        places = {"POTLUCK_HOME": str(self.home), "POTLUCK_REPO": str(self.root / "examples/iris")}
        return {**inherited, **places, "PYTHONPATH": str(self.root)}

    def verbs(self, *verbs: list[str]) -> str:
        """Run verbs one after the other in one process; answers their output."""
        command = [sys.executable, "-W", "ignore", "-c", RUN_VERBS, json.dumps(verbs)]
        ended = subprocess.run(
            command,
            env=self.environment,
            cwd=self.home.parent,  # Python looks there first
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    @contextlib.contextmanager
    def server(self) -> Iterator[str]:
        port = free_port()
        command = [sys.executable, "-m", "cli.main", "serve", "--port", str(port)]
        with (self.home.parent / f"server-{port}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=self.environment, cwd=self.home.parent, stdout=log, stderr=log
            )
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not is_ready(url):
                assert process.poll() is None, Path(log.name).read_text()
                assert time.monotonic() < deadline, Path(log.name).read_text()
                time.sleep(0.1)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def is_ready(url: str) -> bool:
    with (
        contextlib.suppress(urllib.error.URLError, OSError),
        urllib.request.urlopen(f"{url}/readyz"),
    ):
        return True
    return False


def calls(url: str) -> dict[str, tuple[str, str, dict[str, float] | None]]:
    return {
        "hybrid": ("POST", f"{url}/predict/{HYBRID}", RECORD),
        "realtime": ("POST", f"{url}/predict/{REALTIME}", REALTIME_RECORD),
        "lookup": ("GET", f"{url}/lookup/{BATCH}/70", None),
    }


REALTIME_RECORD = {"sepal_length": 5.9, "sepal_width": 3.2}


@dataclass
class Asking:
    """A caller who asks a server all the time, and counts how it answers."""

    url: str
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self.stopping.wait(0.02):
                for name, (method, url, body) in calls(self.url).items():
                    try:
                        status = client.request(method, url, json=body).status_code
                    except httpx.HTTPError:
                        status = 0
                    self.statuses[name, status] += 1


@contextlib.contextmanager
def asking(url: str) -> Iterator[Asking]:
    asking = Asking(url)
    thread = threading.Thread(target=asking.run)
    thread.start()
    try:
        yield asking
    finally:
        asking.stopping.set()
        thread.join()


def answers(url: str) -> dict[str, Any]:
    """What a server answers to each call, but for what is the request's own."""
    found = {}
    for name, (method, place, body) in calls(url).items():
        answer = httpx.request(method, place, json=body, timeout=30).json()
        keys = ("prediction", "probabilities", "model_version", "run_id", "error_code")
        found[name] = {key: answer[key] for key in keys if key in answer}
    return found


def code_of(commit: str, folder: Path) -> Path:
    """The files of a commit of this repo."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True)
    if archive.returncode != 0:
        pytest.skip(f"needs the commit {commit[:7]} in the history, which this checkout has not")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Version]:
    """Version 0.1.0, and a home that it filled."""
    folder = tmp_path_factory.mktemp("upgrade")
    version = Version(code_of(FIRST, folder / "code"), folder / "home")
    try:
        version.verbs(
            ["ingest"],
            ["apply"],
            ["materialize"],
            ["train", REALTIME],
            ["train", HYBRID],
            ["nightly", "--as-of", "2026-06-01"],
        )
        yield version
    finally:
        version.verbs(["down"])


def test_up_and_back_with_servers_of_both_answering_throughout(first: Version) -> None:
    current = Version(ROOT, first.home)
    with first.server() as old_url, asking(old_url) as of_old:
        before = answers(old_url)
        assert before["hybrid"]["model_version"] == "1"

        with current.server() as new_url:
            upgraded = answers(new_url)
            assert upgraded["hybrid"] == before["hybrid"]
            assert upgraded["realtime"] == before["realtime"]
            assert upgraded["lookup"]["error_code"] == "MODEL_NOT_READY", "as CHANGELOG says"
            with asking(new_url) as of_new:
                current.verbs(
                    ["ingest"], ["apply"], ["materialize"], ["nightly", "--as-of", "2026-06-02"]
                )
                assert answers(new_url)["lookup"]["prediction"] == before["lookup"]["prediction"]
                assert answers(old_url) == before, "a server of 0.1.0 still reads its own run"
                current.verbs(["train", HYBRID, "--promote"])
                wait_for_version(new_url, "2")
            after = answers(new_url)
            assert after["lookup"]["run_id"] != before["lookup"]["run_id"]
        of_old.stopping.set()
    expect_no_error(of_old, [])
    expect_no_error(of_new, [("lookup", 503)])

    with first.server() as url:
        back = answers(url)
        assert back["hybrid"] == after["hybrid"], "the bundle that the new version trained"
        assert back["realtime"] == before["realtime"]
        assert back["lookup"] == before["lookup"]
        with asking(url) as of_back:
            for history in (first.home / "data" / "iris").glob("predictions.parquet"):
                shutil.move(history, first.home / "predictions-of-the-new-version")
            first.verbs(
                ["ingest"], ["apply"], ["materialize"], ["nightly", "--as-of", "2026-06-03"]
            )
            assert answers(url)["lookup"]["model_version"] == "2"
    expect_no_error(of_back, [])


def wait_for_version(url: str, version: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while answers(url)["hybrid"]["model_version"] != version:
        assert time.monotonic() < deadline, "it was never taken up"
        time.sleep(0.1)


def expect_no_error(asked: Asking, documented: list[tuple[str, int]]) -> None:
    """Every call was answered with 200, but for what is documented."""
    assert asked.statuses["hybrid", 200] > 10
    others = {what: count for what, count in asked.statuses.items() if what[1] != 200}
    assert {what: count for what, count in others.items() if what not in documented} == {}


# Runs on the code of that version: its modules keep the names that they had there.
READ_STATES = """
import sys
from pathlib import Path
from batch.profile import PROFILE
from batch.runs import Runs
from cli.nights import read_record
from potluck.contract.feed import read_feed
from potluck.contract.publication import read_pointer
from potluck.scoring.releases import Releases

home = Path(sys.argv[1])
pointer = read_pointer((home / "pointer").read_bytes())
print(pointer.run_id, pointer.previous.run_id)
print(read_feed((home / "feed").read_bytes()).views)
print(Releases(home / "releases").champion("s").digest)
print(Runs(home, "s").folder("run").read().bundle)
print(read_record(home / "schedule.json").since.year)
print(PROFILE.validate_json((home / "profile").read_bytes()).rows)
"""


def test_readers_from_before_there_was_a_format_take_what_is_written(tmp_path: Path) -> None:
    code = code_of(LAST, tmp_path / "code")
    home = tmp_path / "home"
    home.mkdir()
    pointer = Pointer("a", "run", THEN, "1", 3, previous=Pointer("b", "before", THEN, "1", 3))
    (home / "pointer").write_bytes(pointer.to_json())
    (home / "feed").write_bytes(Feed(THEN, {"view": ("feature",)}).to_json())
    Releases(home / "releases").promote(Release("s", "digest", "1"))
    Runs(home, "s").folder("run").write(Manifest("s", "m", "1", "bundle", "run", THEN, THEN))
    write_record(home / "schedule.json", ScheduleRecord(THEN))
    profile = Profile("run", 3, 0.0, 1.0, (), {})
    (home / "profile").write_bytes(PROFILE.dump_json(profile))
    command = [sys.executable, "-W", "ignore", "-c", READ_STATES, str(home)]
    environment = {**os.environ, "PYTHONPATH": str(code)}
    ended = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    read = ["run before", "{'view': ('feature',)}", "digest", "bundle", "2026", "3"]
    assert ended.stdout.splitlines() == read
