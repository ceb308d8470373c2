"""A feature repo of four small services that differ in what the accounts and the rules of a row may
depend on.

Keys are numbers or text, records hold for ever or for thirty days, an unknown entity is refused or
missing, and a strict service requires a looked-up value that has no default.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import warm_python
from feast import FeatureStore

from batch.nightly import run_service
from batch.request import RunRequest
from batch.summary import RunSummary
from batch.tasks import Task, find_tasks
from potluck.contract.settings import Settings
from potluck.stores.ingest.sources import write_parquet

PROJECT = "small"
READY_SECONDS = 60
TTL = timedelta(days=30)
AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
WIDE = {
    "nightly_max_failed": 1,
    "nightly_max_rows_change": 1e9,
    "nightly_max_outside": 1,
    "nightly_max_drift": 1e9,
}
STORED = ("value", "zero", "flag", "word", "need")
MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Service:
    """One service with a model, and what it is tried for."""

    name: str
    kind: str
    """Of its keys: `number` or `text`; services of one kind read the same sources."""
    fading: bool
    strict: bool
    unknown: str

    @property
    def batch(self) -> str:
        return f"{self.name}_batch"

    @property
    def key(self) -> str:
        return f"{self.kind}_id"

    def source(self, name: str) -> str:
        return f"{self.kind}_{name}"


SERVICES = (
    Service("number_lasting", "number", fading=False, strict=False, unknown="refuse"),
    Service("number_fading", "number", fading=True, strict=True, unknown="refuse"),
    Service("text_lasting", "text", fading=False, strict=True, unknown="missing"),
    Service("text_fading", "text", fading=True, strict=False, unknown="missing"),
)

CONFIGURATION = f"""\
project: {PROJECT}
provider: local
registry:
  registry_type: sql
  path: "sqlite:///?plugin=potluck"
offline_store:
  type: potluck.stores.duckdb_offline.PotluckOfflineStore
online_store:
  type: potluck.stores.online.PotluckOnlineStore
batch_engine:
  type: potluck.stores.engine.PotluckEngine
entity_key_serialization_version: 3
"""

HEAD = f'''\
"""Four small services."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float64, Int64, String

from potluck.stores.definitions.declare import parquet, predictions

PROJECT = "{PROJECT}"
number = Entity(name="number", join_keys=["number_id"], value_type=ValueType.INT64)
text = Entity(name="text", join_keys=["text_id"], value_type=ValueType.STRING)
number_labels, number_population, number_records = (
    parquet(PROJECT, name) for name in ("number_labels", "number_population", "number_records")
)
text_labels, text_population, text_records = (
    parquet(PROJECT, name) for name in ("text_labels", "text_population", "text_records")
)
STORED = [
    Field(name="value", dtype=Float64),
    Field(name="zero", dtype=Int64, tags={{"required": "true", "default": "0"}}),
    Field(name="flag", dtype=Bool, tags={{"required": "true", "default": "false"}}),
    Field(name="word", dtype=String, tags={{"required": "true", "default": ""}}),
    Field(name="need", dtype=Float64, tags={{"required": "true"}}),
]
asked = RequestSource(
    name="asked",
    schema=[
        Field(name="size", dtype=Float64, tags={{"required": "true"}}),
        Field(name="extra", dtype=Int64, tags={{"required": "true", "default": "0"}}),
    ],
)


@on_demand_feature_view(
    mode="python",
    sources=[asked],
    schema=[Field(name="size", dtype=Float64), Field(name="extra", dtype=Int64), Field(name="share", dtype=Float64)],
)
def shares(inputs):
    share = [None if size is None else 1 / size for size in inputs["size"]]
    return {{"size": inputs["size"], "extra": inputs["extra"], "share": share}}
'''

SERVICE = """
{name}_view = FeatureView(
    name="{name}_view",
    entities=[{kind}],
    schema=STORED,
    source={kind}_records,
    ttl=timedelta(days={days}),
    tags={{"unknown": "{unknown}"}},
)
{name}_predictions = predictions(PROJECT, {kind}, name="{name}_predictions")
{name} = FeatureService(
    name="{name}",
    features=[{name}_view[{names}], shares],
    tags={{"label": "{kind}_labels.y", "objective": "regression", "population": "{kind}_population"}},
)
{name}_batch = FeatureService(
    name="{name}_batch", features=[{name}_predictions], tags={{"scored_by": "{name}"}}
)
"""

INGEST = """\
import pyarrow as pa
from datetime import UTC, datetime, timedelta

MOMENT = pa.timestamp("us", tz="UTC")
START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 300
NUMBERS = range(1001, 1001 + ROWS)


def ingest(files, rows, seed):
    return {**of("number", pa.int64(), list(NUMBERS)), **of("text", pa.string(), [f"e{n}" for n in NUMBERS])}


def of(kind, dtype, keys):
    days = pa.array([START + timedelta(hours=4 * n) for n in range(ROWS)], MOMENT)
    sizes = [1.0 + n % 17 for n in range(ROWS)]
    stored = {
        "value": [float(n % 23) for n in range(ROWS)],
        "zero": [n % 3 for n in range(ROWS)],
        "flag": [n % 2 == 0 for n in range(ROWS)],
        "word": ["ab"[n % 2] for n in range(ROWS)],
        "need": [float(n % 11) for n in range(ROWS)],
    }
    key = {f"{kind}_id": pa.array(keys, dtype), "event_timestamp": days}
    asked = {**key, "size": sizes, "extra": pa.array([n % 5 for n in range(ROWS)], pa.int64())}
    y = [10 * size + value + need for size, value, need in zip(sizes, stored["value"], stored["need"])]
    history = pa.schema(
        [(f"{kind}_id", dtype), ("event_timestamp", MOMENT), ("prediction", pa.float64())]
        + [("model_version", pa.string()), ("run_id", pa.string())]
    )
    return {
        f"{kind}_records": pa.table({**key, **stored}),
        f"{kind}_population": pa.table(asked),
        f"{kind}_labels": pa.table({**asked, "y": y}),
        f"{kind}_lasting_predictions": history,
        f"{kind}_fading_predictions": history,
    }
"""

RUN_VERBS = """
import json, sys
from cli.main import potluck
for words in json.loads(sys.argv[1]):
    potluck.main(words, standalone_mode=False)
"""


def write_repo(folder: Path) -> Path:
    """Lay down the repo's files."""
    folder.mkdir(parents=True)
    (folder / "feature_store.yaml").write_text(CONFIGURATION)
    (folder / ".feastignore").write_text("ingest.py\n")
    (folder / "definitions.py").write_text(HEAD + "".join(map(service_text, SERVICES)))
    (folder / "ingest.py").write_text(INGEST)
    return folder


def service_text(service: Service) -> str:
    names = STORED if service.strict else STORED[:-1]
    return SERVICE.format(
        name=service.name,
        kind=service.kind,
        days=TTL.days if service.fading else 0,
        unknown=service.unknown,
        names=json.dumps(names),
    )


@dataclass(frozen=True)
class SmallHome:
    """The repo, applied and trained in a home of its own."""

    settings: Settings

    @property
    def environment(self) -> dict[str, str]:
        ours = ("POTLUCK_", "REDIS_URL", "MLFLOW_TRACKING_URI", "FEAST_REGISTRY_URL")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {
            **inherited,
            "POTLUCK_HOME": str(self.settings.home),
            "POTLUCK_REPO": str(self.settings.repo),
        }

    def verbs(self, *verbs: list[str]) -> None:
        """Run verbs one after the other in one process: importing Feast takes seconds."""
        command = [sys.executable, "-W", "ignore", "-c", RUN_VERBS, json.dumps(verbs)]
        ended = warm_python.run(
            command, env=self.environment, capture_output=True, text=True, timeout=300
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def write(self, source: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace a source by these rows."""
        kind, _, name = source.partition("_")
        types = {
            f"{kind}_id": pa.int64() if kind == "number" else pa.string(),
            "event_timestamp": MOMENT,
            **TYPES[name],
        }
        table = pa.Table.from_pylist([dict(row) for row in rows], pa.schema(types))
        write_parquet(self.settings.data_folder(PROJECT) / f"{source}.parquet", table)

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """The address of a server of this home."""
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = int(listening.getsockname()[1])
        command = [sys.executable, "-m", "cli.main", "serve", "--port", str(port)]
        with (self.settings.home / "server.log").open("wb") as log:
            server = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def wait_until_ready(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + READY_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{url}/readyz"),
        ):
            return
        time.sleep(0.05)
    raise AssertionError(f"no server answers at {url}")


ASKED = {"size": pa.float64(), "extra": pa.int64()}
TYPES: Mapping[str, Mapping[str, pa.DataType]] = {
    "records": {
        "value": pa.float64(),
        "zero": pa.int64(),
        "flag": pa.bool_(),
        "word": pa.string(),
        "need": pa.float64(),
    },
    "population": ASKED,
    "labels": {**ASKED, "y": pa.float64()},
}


def night(home: SmallHome, store: FeatureStore, task: Task, as_of: datetime) -> RunSummary:
    """A night of one service in this process, which no threshold refuses."""
    settings = home.settings.model_copy(update=WIDE)
    reason = "the tables are made up"
    return run_service(RunRequest.of(settings, store, task, as_of, force=reason))


def tasks_of(home: SmallHome) -> dict[str, Task]:
    """Service with a model -> its champion, and what that fills."""
    return {task.release.service: task for task in find_tasks(home.settings, PROJECT)}


@contextlib.contextmanager
def small_home(folder: Path) -> Iterator[SmallHome]:
    """From nothing to trained champions, and every process of it stopped at the end."""
    home = SmallHome(Settings(home=folder / "home", repo=write_repo(folder / "repo")))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in home.settings.variables().items():
            patch.setenv(name, value)
        try:
            home.verbs(
                ["ingest"],
                ["apply"],
                ["materialize"],
                *(["train", service.name] for service in SERVICES),
            )
            yield home
        finally:
            home.verbs(["down"])
