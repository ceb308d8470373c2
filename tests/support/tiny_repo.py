"""Small feature repos written to a folder, and `potluck apply` over many of them in one go.

Feast mixes two repos in one process, and to import it takes seconds: so one process imports it, and
forks for each.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import warm_python

ROOT = Path(__file__).resolve().parents[2]
TIME = pa.timestamp("us", tz="UTC")

CONFIG = """project: tiny
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

DEFINITIONS = """
from datetime import timedelta

from feast import BatchFeatureView, Entity, FeatureService, FeatureView, Field, FileSource, Project
from feast import KafkaSource, KinesisSource, PushSource, RequestSource, StreamFeatureView, ValueType
from feast.aggregation import Aggregation
from feast.batch_feature_view import batch_feature_view
from feast.on_demand_feature_view import OnDemandFeatureView, on_demand_feature_view
from feast.types import Array, Bool, Float32, Float64, Int32, Int64, String

from potluck.contract.settings import source_path
from potluck.stores.definitions.declare import parquet, pass_through, predictions

pump = Entity(name="pump", join_keys=["pump_id"], value_type=ValueType.INT64)
records = parquet("tiny", "records")
readings = parquet("tiny", "readings")
record = FeatureView(
    name="record",
    entities=[pump],
    schema=[Field(name="model", dtype=String), Field(name="year", dtype=Int64)],
    source=records,
)
gauges = RequestSource(
    name="gauges", schema=[Field(name="temperature", dtype=Float64), Field(name="steps", dtype=Int64)]
)
gauge_columns = pass_through(gauges)


@on_demand_feature_view(mode="python", sources=[gauges, record], schema=[Field(name="age", dtype=Int64)])
def wear(inputs):
    pairs = zip(inputs["steps"], inputs["year"])
    return {"age": [None if None in pair else pair[0] - pair[1] for pair in pairs]}


risk = predictions("tiny", pump)
MODEL = {"label": "readings.load", "objective": "regression"}
NIGHT = {"population": "readings"}
t_realtime = FeatureService(name="t_realtime", features=[gauge_columns], tags=MODEL)
t_hybrid = FeatureService(name="t_hybrid", features=[record, gauge_columns, wear], tags={**MODEL, **NIGHT})
t_batch = FeatureService(name="t_batch", features=[risk], tags={"scored_by": "t_hybrid"})
"""

SOURCES: Mapping[str, pa.Schema] = {
    "records": pa.schema(
        [
            ("pump_id", pa.int64()),
            ("event_timestamp", TIME),
            ("model", pa.string()),
            ("year", pa.int64()),
        ]
    ),
    "readings": pa.schema(
        [
            ("pump_id", pa.int64()),
            ("event_timestamp", TIME),
            ("temperature", pa.float64()),
            ("steps", pa.int64()),
            ("load", pa.float64()),
        ]
    ),
}

FORKS = """
import contextlib, io, json, os, sys
from pathlib import Path
import cli.main, cli.data.apply, cli.startup
cli.startup.prepare_libraries(cli.startup.load_settings())
import potluck.stores.apply.run

for repo in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        os.environ.update(POTLUCK_HOME=f"{repo}/home", POTLUCK_REPO=repo)
        sys.argv = ["potluck", *json.loads(Path(repo, "words.json").read_text())]
        out, err, code = io.StringIO(), io.StringIO(), 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                cli.main.main()
            except SystemExit as ended:
                code = ended.code or 0
            except BaseException:
                import traceback
                code = 99
                traceback.print_exc()
        Path(repo, "ended.json").write_text(json.dumps([code, out.getvalue(), err.getvalue()]))
        os._exit(0)
    os.waitpid(child, 0)
"""


@dataclass(frozen=True)
class Ended:
    """How a verb ended."""

    returncode: int
    stdout: str
    stderr: str


def write_repo(
    folder: Path,
    *changes: tuple[str, str],
    config: str = CONFIG,
    sources: Mapping[str, pa.Schema] | None = None,
) -> Path:
    """A repo whose definitions are the small ones above, with some text replaced.

    Args:
        changes: old text -> new text.
        sources: files that lie there already, without rows.
    """
    text = DEFINITIONS
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    folder.mkdir(parents=True)
    (folder / "definitions.py").write_text(text)
    (folder / "feature_store.yaml").write_text(config)
    for name, schema in (sources or {}).items():
        data = folder / "home" / "data" / "tiny"
        data.mkdir(parents=True, exist_ok=True)
        pq.write_table(schema.empty_table(), data / f"{name}.parquet")
    return folder


def apply_all(repos: Iterable[Path], *options: str) -> list[Ended]:
    """`potluck apply` over each repo, in a home of its own."""
    folders = list(repos)
    for folder in folders:
        (folder / "words.json").write_text(json.dumps(["apply", *options]))
    ours = ("POTLUCK_", "REDIS_URL", "MLFLOW_TRACKING_URI", "FEAST_REGISTRY_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [sys.executable, "-W", "ignore", "-c", FORKS, *map(str, folders)]
    ended = warm_python.run(
        command, env=environment, capture_output=True, text=True, cwd=ROOT, timeout=900
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return [Ended(*json.loads((folder / "ended.json").read_text())) for folder in folders]


def run_in(repo: Path, *command: str) -> Ended:
    """A command of its own process in a repo's home."""
    environment = {
        **os.environ,
        "POTLUCK_HOME": str(repo / "home"),
        "POTLUCK_REPO": str(repo),
        "PYTHONPATH": str(ROOT),
    }
    ended = warm_python.run(
        [sys.executable, "-W", "ignore", *command],
        env=environment,
        capture_output=True,
        text=True,
        cwd=repo,
        timeout=300,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def apply_one(repo: Path, *options: str) -> Ended:
    return apply_all([repo], *options)[0]
