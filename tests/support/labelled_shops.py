"""A small feature repo whose labels and records a test writes row by row: shops, what they ask and
what came of it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import warm_python

from potluck.contract.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
AS_OF = datetime(2024, 6, 1, tzinfo=UTC)
FIRST = datetime(2023, 1, 1, tzinfo=UTC)
TIME = pa.timestamp("us", tz="UTC")

YAML = """
project: shops
provider: local
registry: {registry_type: sql, path: "sqlite:///?plugin=potluck"}
offline_store: {type: potluck.stores.duckdb_offline.PotluckOfflineStore}
online_store: {type: potluck.stores.online.PotluckOnlineStore}
entity_key_serialization_version: 3
"""

DEFINITIONS = """
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, RequestSource, ValueType
from feast.types import Float64, Int64, String
from potluck.stores.definitions.declare import parquet, pass_through

labels, records, places = (parquet("shops", name) for name in ("labels", "records", "places"))
shop = Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.INT64)
record = FeatureView(
    name="record",
    entities=[shop],
    ttl=timedelta(days=20_000),
    schema=[
        Field(name="size", dtype=Float64),
        Field(name="colour", dtype=String),
        Field(name="licence", dtype=Int64, tags={"required": "true"}),
        Field(name="floors", dtype=Int64, tags={"required": "true", "default": "0"}),
    ],
    source=records,
)
place = FeatureView(
    name="place", entities=[shop], ttl=timedelta(days=20_000), schema=[Field(name="town", dtype=String)], source=places
)
asked = RequestSource(
    name="asked",
    schema=[Field(name="amount", dtype=Float64, tags={"required": "true"}), Field(name="note", dtype=String)],
)
columns = pass_through(asked)

def service(name, features, label, objective):
    return FeatureService(name=name, features=features, tags={"label": f"labels.{label}", "objective": objective})

value_hybrid = service("value_hybrid", [record, place, columns], "value", "regression")
value_realtime = service("value_realtime", [columns], "value", "regression")
won_realtime = service("won_realtime", [columns], "won", "binary")
kind_realtime = service("kind_realtime", [columns], "kind", "multiclass")
"""

LABELS = pa.schema(
    [
        ("shop_id", pa.int64()),
        ("event_timestamp", TIME),
        ("amount", pa.float64()),
        ("note", pa.string()),
        ("value", pa.float64()),
        ("won", pa.string()),
        ("kind", pa.string()),
    ]
)
RECORDS = pa.schema(
    [
        ("shop_id", pa.int64()),
        ("event_timestamp", TIME),
        ("size", pa.float64()),
        ("colour", pa.string()),
        ("licence", pa.int64()),
        ("floors", pa.int64()),
    ]
)
PLACES = pa.schema([("shop_id", pa.int64()), ("event_timestamp", TIME), ("town", pa.string())])

Row = dict[str, Any]

TOOLS = """
import dataclasses, json, sys
from datetime import UTC, datetime
from pathlib import Path
from potluck.contract.errors import PotluckError
from potluck.contract.settings import load_settings
from potluck.stores.definitions.registry import definition_of
from potluck.stores.definitions.repo import open_store

settings = load_settings()
as_of = datetime(2024, 6, 1, tzinfo=UTC)
store = open_store(settings.repo)
contract_of = lambda service: definition_of(store, service).contract

def tried(call):
    try:
        return call()
    except PotluckError as error:
        return {"error": type(error).__name__, "message": str(error), "exit_code": error.exit_code}

def tell(found):
    print("FOUND" + json.dumps(found, default=str))
"""


@dataclass(frozen=True)
class Shops:
    """A home with this repo."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        ours = ("POTLUCK_", "REDIS_URL", "MLFLOW_TRACKING_URI", "FEAST_REGISTRY_URL")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        settings = {"POTLUCK_HOME": str(self.home), "POTLUCK_REPO": str(self.home / "repo")}
        return {**inherited, **settings, "PYTHONPATH": str(ROOT)}

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, repo=self.home / "repo")

    def write(
        self, labels: list[Row], records: list[Row] | None = None, places: list[Row] | None = None
    ) -> None:
        """Replace the sources; records and places default to one of each labelled shop, long before
        its label."""
        shops = sorted({row["shop_id"] for row in labels if row["shop_id"] is not None})
        folder = self.settings.data_folder("shops")
        folder.mkdir(parents=True, exist_ok=True)
        tables = {
            "labels": (labels, LABELS),
            "records": ([record(shop) for shop in shops] if records is None else records, RECORDS),
            "places": ([place(shop) for shop in shops] if places is None else places, PLACES),
        }
        for name, (rows, schema) in tables.items():
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{name}.parquet")

    def verb(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """A verb as a user runs it."""
        command = [sys.executable, "-m", "cli.main", *words]
        return warm_python.run(
            command, env=self.environment, capture_output=True, text=True, timeout=300, cwd=ROOT
        )

    def python(self, code: str) -> Any:
        """Run code after `TOOLS`; answers what it tells."""
        command = [sys.executable, "-W", "ignore", "-c", TOOLS + code]
        ended = warm_python.run(
            command, env=self.environment, capture_output=True, text=True, timeout=300, cwd=ROOT
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout.split("FOUND")[1])


def shops_at(home: Path) -> Shops:
    """A home with the repo applied; its sources are those of `label_row`."""
    repo = home / "repo"
    repo.mkdir(parents=True)
    (repo / "feature_store.yaml").write_text(YAML)
    (repo / "definitions.py").write_text(DEFINITIONS)
    shops = Shops(home)
    shops.write([label_row(number) for number in range(200)])
    applied = shops.verb("apply")
    assert applied.returncode == 0, applied.stderr
    return shops


def label_row(number: int, **other: Any) -> Row:
    """The number-th labelled row: a shop of its own, a day later than the one before."""
    amount = float(number * 7 % 50)
    row = {
        "shop_id": number,
        "event_timestamp": FIRST + timedelta(days=number),
        "amount": amount,
        "note": "abc"[number % 3],
        "value": 3 * amount + number % 5,
        "won": "yes" if amount + number % 4 > 25 else "no",
        "kind": "abc"[int(amount) // 17],
    }
    return {**row, **other}


def record(shop: int, **other: Any) -> Row:
    """What is on record of a shop, long before its label."""
    known = {"size": float(shop % 9), "colour": "red", "licence": shop, "floors": None}
    return {"shop_id": shop, "event_timestamp": FIRST - timedelta(days=99), **known, **other}


def place(shop: int, **other: Any) -> Row:
    return {
        "shop_id": shop,
        "event_timestamp": FIRST - timedelta(days=99),
        "town": "xyz"[shop % 3],
        **other,
    }
