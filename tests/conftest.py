"""A whole Potluck for each feature repo: real Redis, real Feast and MLflow, a real server on a free
port."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import warm_python

from potluck.contract.settings import Settings
from training.moved import follow_home

pytest_plugins = ["redis_servers", "redis_proxy", "disks"]

hypothesis.settings.register_profile("reproducible", derandomize=True, database=None)
hypothesis.settings.load_profile("reproducible")

ROOT = Path(__file__).resolve().parent.parent
REAL_HOUSES = Path(
    os.environ.get("POTLUCK_TEST_DATA", ROOT.parent / "shared" / "data" / "house_prices_train.csv")
)
READY_SECONDS = 60

RUN_VERBS = """
import json, sys
from cli.main import potluck
for words in json.loads(sys.argv[1]):
    potluck.main(words, standalone_mode=False)
"""


FEW_AND_LONG = ("test_pages.py", "test_cold_verbs.py")
"""Files of few tests that take a minute; xdist would begin with the files of most tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files, so that no worker is left alone with one at the end."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.path.name not in FEW_AND_LONG)


@dataclass(frozen=True)
class Repo:
    """A feature repo under test, and what its services are called."""

    name: str
    path: Path
    realtime: str
    hybrid: str
    batch: str
    ingest: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Further services with a model."""
    knows_strangers: bool = False
    """Whether its views answer for an entity that they do not know."""


def houses() -> Repo:
    source = (str(REAL_HOUSES),) if REAL_HOUSES.exists() else ("--rows", "600", "--seed", "1")
    services = ("house_price_realtime", "house_price_hybrid", "house_price_batch")
    return Repo("houses", ROOT / "feature_repo", *services, ingest=source)


def example(name: str) -> Repo:
    return Repo(
        name, ROOT / "examples" / name, f"{name}_realtime", f"{name}_hybrid", f"{name}_batch"
    )


def everything() -> Repo:
    """Every Feast object and option that a repo may hold."""
    services = ("everything_realtime", "everything_hybrid", "everything_batch")
    path = ROOT / "tests" / "repos" / "everything"
    return Repo(
        "everything",
        path,
        *services,
        ingest=("--rows", "240"),
        others=("everything_pair",),
        knows_strangers=True,
    )


REPOS = [houses(), example("iris"), example("breast_cancer"), everything()]


@dataclass
class Stack:
    """A repo's home, and the server that answers for it."""

    repo: Repo
    home: Path
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    @property
    def environment(self) -> dict[str, str]:
        # Feast sets the folder of metrics when its own are imported: servers would share theirs.
        ours = ("POTLUCK_", "REDIS_URL", "MLFLOW_TRACKING_URI", "FEAST_REGISTRY_URL", "PROMETHEUS_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {**inherited, "POTLUCK_HOME": str(self.home), "POTLUCK_REPO": str(self.repo.path)}

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, repo=self.repo.path)

    @property
    def as_built(self) -> Path:
        """A copy of the home from before its server started: no test has changed it."""
        return self.home.with_name(f"{self.home.name}-as-built")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def verbs(self, *verbs: list[str]) -> None:
        """Run verbs one after the other in one process: importing Feast takes seconds."""
        self.python(RUN_VERBS, json.dumps(verbs))

    def verb(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run one verb as a user would."""
        command = [sys.executable, "-m", "cli.main", *words]
        return warm_python.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            cwd=self.home,
            timeout=300,
        )

    def python(self, code: str, *arguments: str) -> str:
        """Run code in this home; answers its output."""
        command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
        ended = warm_python.run(
            command, env=self.environment, capture_output=True, text=True, cwd=ROOT, timeout=600
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def serve(self, *options: str, code: str | None = None) -> None:
        """Start the server and wait until it is ready."""
        self.port = free_port()
        start = ["-c", code] if code else ["-m", "cli.main"]
        command = [sys.executable, *start, "serve", "--port", str(self.port), *options]
        log = (self.home / "server.log").open("ab")
        self.process = subprocess.Popen(
            command, env=self.environment, cwd=self.home, stdout=log, stderr=log
        )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert self.process is not None
            assert self.process.poll() is None, (self.home / "server.log").read_text()
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(f"{self.url}/readyz"),
            ):
                return
            time.sleep(0.05)
        raise AssertionError((self.home / "server.log").read_text())

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    @contextlib.contextmanager
    def second_server(self, *options: str, code: str | None = None) -> "Iterator[Stack]":
        """Another server of the same home, for what would disturb the shared one."""
        other = Stack(self.repo, self.home)
        try:
            other.serve(*options, code=code)
            yield other
        finally:
            other.stop()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(self.url + path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Send JSON, or bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body)
        return self.client.post(self.url + path, content=content, **options)

    def population(self) -> list[dict[str, Any]]:
        """Every entity's key and request fields, as the nightly run reads them."""
        import pyarrow.parquet as pq

        fields = self.get(f"/services/{self.repo.hybrid}").json()["fields"]
        names = [entry["name"] for entry in fields if entry["source"] in ("key", "request")]
        sources = {"houses": "listings"}
        project = {"houses": "house_prices"}.get(self.repo.name, self.repo.name)
        path = (
            self.settings.data_folder(project)
            / f"{sources.get(self.repo.name, 'population')}.parquet"
        )
        return list(pq.read_table(path, columns=names).to_pylist())


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


PASSING = shutil.ignore_patterns("*.sock", "lock")
"""What of a home is of the processes that run for it."""


@contextlib.contextmanager
def running(repo: Repo, home: Path, shared: Path) -> Iterator[Stack]:
    """From raw data to a server that is ready.

    Args:
        home: an empty folder.
        shared: a folder of all workers; the first one to come builds, the others copy.
    """
    stack = Stack(repo, home)
    built = shared / f"{repo.name}-built"
    try:
        with alone(shared / f"{repo.name}.lock"):
            if built.exists():
                shutil.copytree(built, home, dirs_exist_ok=True)
                # MLflow's and Feast's registries hold the paths of the first home.
                follow_home(stack.settings)
                stack.verbs(["apply"])
            else:
                build(stack)
                stack.verb("down")  # Redis writes its file as it ends
                shutil.copytree(home, built, ignore=PASSING)
        shutil.copytree(home, stack.as_built, ignore=PASSING)
        stack.serve()
        yield stack
    finally:
        stack.stop()
        stack.verb("down")


def build(stack: Stack) -> None:
    """Fill a home from raw data to a published nightly run."""
    repo = stack.repo
    stack.verbs(
        ["ingest", *repo.ingest],
        ["apply"],
        ["materialize"],
        ["train", repo.realtime],
        ["train", repo.hybrid],
        *(["train", other] for other in repo.others),
        ["nightly", "--as-of", "2026-06-01"],
    )


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock that every worker of this run knows by its path."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(autouse=True)
def environment_is_put_back() -> Iterator[None]:
    """A verb that runs in this process leaves its settings in the environment, for what it
    starts."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session", params=REPOS, ids=lambda repo: repo.name)
def stack(request: pytest.FixtureRequest) -> Stack:
    """Each repo's stack in turn."""
    return request.getfixturevalue(request.param.name)  # type: ignore[no-any-return]


def stack_fixture(repo: Repo) -> Any:
    @pytest.fixture(scope="session", name=repo.name)
    def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
        base = tmp_path_factory.getbasetemp()
        # xdist gives each worker a folder in the one of the whole run.
        shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        with running(repo, tmp_path_factory.mktemp(repo.name), shared) as stack:
            yield stack

    return start


start_houses, start_iris, start_breast_cancer, start_everything = map(stack_fixture, REPOS)
