"""Both images built without Docker, and run as compose and Kubernetes run them.

That is without root, and with nothing to write to but the home.

It takes minutes, so POTLUCK_TRY_IMAGES names the images to try: `serving`, or `serving,batch`.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from drain import longest_stop
from image_roots import Builder, Image, execute
from redis_servers import Processes, RedisProcess, free_port
from tools import do_without, tool

TRY = "POTLUCK_TRY_IMAGES"
USER = 10001
HOME = "/var/lib/potluck"
START_SECONDS = 300.0


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    tool("debootstrap")
    if os.geteuid() != 0:
        do_without("expected to be root, which chroot needs; run the tests with sudo")
    folder = tmp_path_factory.mktemp("images")
    yield Builder(folder)
    shutil.rmtree(folder)  # gigabytes


@pytest.fixture(scope="module")
def serving(request: pytest.FixtureRequest) -> Image:
    asked("serving")
    return request.getfixturevalue("builder").build("serving")  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def batch(request: pytest.FixtureRequest) -> Image:
    asked("batch")
    return request.getfixturevalue("builder").build("batch")  # type: ignore[no-any-return]


def asked(image: str) -> None:
    """Go on only if this image is to be tried."""
    if image not in os.environ.get(TRY, "").split(","):
        pytest.skip(f"{TRY} does not name {image}")


def owned(folder: Path) -> Path:
    """The folder, as a fresh volume is: the image's user's."""
    execute(["chown", "-R", f"{USER}:{USER}", str(folder)])
    return folder


@contextlib.contextmanager
def started(
    image: Image,
    command: Sequence[str],
    mounts: Mapping[Path, str],
    environment: Mapping[str, str],
    log: Path,
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process of the image, with a root that can't be written to."""
    line = image.entered(command, environment, mounts, read_only=True)
    with log.open("ab") as written:
        process = subprocess.Popen(line, stdout=written, stderr=written, start_new_session=True)
    try:
        yield process
    finally:
        # MLflow's server has children, which outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
        return True
    return False


def until_it_answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(url, process, log):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def post(url: str, body: Any) -> Any:
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=30) as answer:
        return json.load(answer)


def copy_keys(source: Any, target: RedisProcess) -> None:
    for key in source.scan_iter():
        target.client.restore(key, 0, source.dump(key))


@pytest.fixture(scope="module")
def home(iris: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server needs of a home: its releases."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(iris.home / "releases", folder / "releases")
    return owned(folder)


@dataclass(frozen=True)
class Container:
    """A process of the serving image that is ready."""

    process: "subprocess.Popen[bytes]"
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def server(serving: Image, home: Path, store: RedisProcess, log: Path) -> Iterator[Container]:
    """The image's own command, on loopback and a free port."""
    port = free_port()
    command = [*serving.command, "--host", "127.0.0.1", "--port", str(port)]
    environment = {"REDIS_URL": f"redis://127.0.0.1:{store.port}/0"}
    with started(serving, command, {home: HOME}, environment, log) as process:
        until_it_answers(f"http://127.0.0.1:{port}/readyz", process, log)
        yield Container(process, port)


def test_the_serving_image_answers_as_its_user_with_a_root_that_is_read_only(
    serving: Image, iris: Any, home: Path, processes: Processes, tmp_path: Path
) -> None:
    store = processes.start()
    copy_keys(redis.Redis.from_url(iris.settings.embedded_redis_url), store)
    with server(serving, home, store, tmp_path / "log") as container:
        assert rights(container.process.pid) == {
            "Uid": USER,
            "NoNewPrivs": 1,
            "CapEff": 0,
            "CapBnd": 0,
        }
        for path, body in (
            (f"/predict/{iris.repo.hybrid}", iris.population()[0]),
            (f"/lookup/{iris.repo.batch}", {"ids": [1, 2]}),
        ):
            told, expected = post(container.url + path, body), iris.post(path, body).json()
            for name in ("prediction", "predictions", "probabilities"):
                assert told.get(name) == expected.get(name)
        check = [word.replace(":8000", f":{container.port}") for word in serving.healthcheck]
        execute(serving.entered(check, read_only=True))
        container.process.send_signal(signal.SIGTERM)
        container.process.wait(longest_stop({}) + 10)


def rights(pid: int) -> dict[str, int]:
    lines = [line.split(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    values = {name: value.split()[0] for name, value in lines if value.split()}
    capabilities = {name: int(values[name], 16) for name in ("CapEff", "CapBnd")}
    return {"Uid": int(values["Uid"]), "NoNewPrivs": int(values["NoNewPrivs"]), **capabilities}


WRITE = """
import errno, sys
try: open(sys.argv[1], "w")
except OSError as error: print(errno.errorcode[error.errno])
"""


@pytest.mark.parametrize("place", ["/app/x", "/usr/local/x", "/home/potluck/x"])
def test_nothing_of_the_serving_image_can_be_written_to(serving: Image, place: str) -> None:
    told = execute(serving.entered(["python", "-c", WRITE, place], read_only=True))
    assert told.strip() == "EROFS"


@pytest.mark.parametrize("module", ["feast", "mlflow", "pandas", "sklearn", "duckdb"])
def test_the_serving_image_does_without(serving: Image, module: str) -> None:
    find = f"import importlib.util; print(importlib.util.find_spec({module!r}))"
    assert execute(serving.entered(["python", "-c", find])).strip() == "None"


def test_the_serving_image_decodes_the_log_and_tells_what_it_takes_to_ask_it(
    serving: Image,
) -> None:
    execute(serving.entered(["python", "-c", "import monitoring.decode.follow"]))
    asked_in_vain = serving.entered(["potluck", "log"], {"POTLUCK_HOME": "/tmp/home"})
    ended = subprocess.run(asked_in_vain, capture_output=True, text=True)
    assert ended.returncode == 2
    (told,) = ended.stderr.splitlines()
    assert "it lacks duckdb; install potluck[platform]" in told


def test_the_batch_image_fills_a_home_that_the_serving_image_serves(
    batch: Image, serving: Image, processes: Processes, tmp_path: Path
) -> None:
    """Compose's services `init`, `nightly` by hand, `watcher` once, and `server`."""
    store, volume = processes.start(), tmp_path / "volume"
    volume.mkdir()
    mounts = {owned(volume): HOME}
    environment = {"REDIS_URL": f"redis://127.0.0.1:{store.port}/0"}
    for command in (
        ["python", "-m", "cli.first_run"],
        [*batch.entrypoint, "nightly"],
        [*batch.entrypoint, "pull"],
    ):
        execute(batch.entered(command, environment, mounts, read_only=True))
    record = {"Id": 1, "LotArea": 8450, "Neighborhood": "CollgCr", "YearBuilt": 2003}
    with server(serving, volume, store, tmp_path / "log") as container:
        predicted = post(f"{container.url}/predict/house_price_hybrid", record)
        looked_up = post(f"{container.url}/lookup/house_price_batch", {"ids": [1]})
    assert predicted["prediction"] > 0
    assert looked_up["predictions"][0] > 0


def test_mlflow_s_server_runs_in_the_batch_image(batch: Image, tmp_path: Path) -> None:
    """Compose's service `mlflow`, on SQLite in place of Postgres."""
    artifacts, database = tmp_path / "mlartifacts", tmp_path / "database"
    for folder in (artifacts, database):
        folder.mkdir()
        owned(folder)
    port, log = free_port(), tmp_path / "log"
    words = [
        "mlflow",
        "server",
        "--host=127.0.0.1",
        f"--port={port}",
        "--workers=1",
        "--serve-artifacts",
    ]
    places = [
        "--artifacts-destination=/mlartifacts",
        f"--backend-store-uri=sqlite:///{HOME}/mlflow.db",
    ]
    mounts = {artifacts: "/mlartifacts", database: HOME}
    with started(batch, [*words, *places], mounts, {}, log) as process:
        until_it_answers(f"http://127.0.0.1:{port}/health", process, log)
