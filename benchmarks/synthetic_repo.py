"""A feature repo made to order: stores of so many features in so many views, and services with so
many trees."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT_NAME = "growth"
EVERY_FIFTH_IS_TEXT = 5

CONFIGURATION = f"""\
project: {PROJECT_NAME}
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
"""Made to order: looked-up features of several entities, and one number that a request brings."""

from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, String

from potluck.contract.settings import source_path


def parquet(name):
    path = source_path("{PROJECT_NAME}", name)
    return FileSource(name=name, path=path, timestamp_field="event_timestamp")


observations = parquet("observations")
asked = RequestSource(
    name="asked", schema=[Field(name="x", dtype=Float64, tags={{"required": "true"}})]
)


@on_demand_feature_view(
    mode="python",
    sources=[asked],
    schema=[Field(name=name, dtype=Float64) for name in ("x", "x_squared")],
)
def request(inputs):
    return {{"x": inputs["x"], "x_squared": [None if x is None else x * x for x in inputs["x"]]}}


MODEL = {{"label": "observations.y", "objective": "regression"}}
'''

INGEST = '''\
"""Sources of definitions.py, from a seed."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

STORES = {stores}
START = datetime(2024, 1, 1, tzinfo=UTC)


def ingest(files, rows, seed):
    draw = np.random.default_rng(seed)
    ids = pa.array(range(1, rows + 1), pa.int64())
    days = [START + timedelta(days=day) for day in range(rows)]
    tables = {{name: table(draw, name, kinds, ids, START) for name, kinds in STORES.items()}}
    x, known = draw.normal(size=rows), [np.array(table["f0"]) for table in tables.values()]
    y = 100 + 10 * x + sum(known) + draw.normal(size=rows)
    seen = {{"event_timestamp": timestamps(days), "x": x, "y": y}}
    keys = {{f"{{name}}_id": ids for name in STORES}}
    return {{**tables, "observations": pa.table({{**keys, **seen}})}}


def table(draw, name, kinds, ids, start):
    rows = len(ids)
    made = {{
        "number": lambda: draw.normal(size=rows),
        "text": lambda: [f"c{{n}}" for n in draw.integers(0, 10, rows)],
    }}
    columns = {{f"f{{index}}": made[kind]() for index, kind in enumerate(kinds)}}
    times = timestamps([start] * rows)
    return pa.table({{f"{{name}}_id": ids, "event_timestamp": times, **columns}})


def timestamps(moments):
    return pa.array(moments, pa.timestamp("us", tz="UTC"))
'''


@dataclass(frozen=True)
class Store:
    """What is known of one kind of entity."""

    name: str
    features: int
    views: int

    @property
    def key(self) -> str:
        return f"{self.name}_id"

    @property
    def view_names(self) -> list[str]:
        return [f"{self.name}_{number}" for number in range(self.views)]

    @property
    def kinds(self) -> list[str]:
        """Of each feature: `text` for every fifth one, else `number`."""
        kinds = ["number"] * self.features
        for place in range(EVERY_FIFTH_IS_TEXT - 1, self.features, EVERY_FIFTH_IS_TEXT):
            kinds[place] = "text"
        return kinds


@dataclass(frozen=True)
class SyntheticService:
    """A model over one store."""

    name: str
    store: Store
    trees: int


def write_repo(folder: Path, services: Sequence[SyntheticService]) -> None:
    """Lay down the repo's four files."""
    stores = {service.store.name: service.store for service in services}
    parts = [HEAD, *map(store_text, stores.values()), *map(service_text, services)]
    kinds = {name: store.kinds for name, store in stores.items()}
    folder.mkdir(parents=True)
    (folder / "feature_store.yaml").write_text(CONFIGURATION)
    (folder / ".feastignore").write_text("ingest.py\n")
    (folder / "definitions.py").write_text("\n\n".join(parts))
    (folder / "ingest.py").write_text(INGEST.format(stores=kinds))


def store_text(store: Store) -> str:
    keys = f'join_keys=["{store.key}"], value_type=ValueType.INT64'
    entity = f'{store.name} = Entity(name="{store.name}", {keys})\n'
    source = f'{store.name}_source = parquet("{store.name}")\n'
    return entity + source + "".join(view_texts(store))


def view_texts(store: Store) -> Iterator[str]:
    """The features are dealt out over the views."""
    for number, name in enumerate(store.view_names):
        places = range(number, store.features, store.views)
        fields = ", ".join([field_text(store, place) for place in places])
        what = f'name="{name}", entities=[{store.name}], schema=[{fields}]'
        yield f"{name} = FeatureView({what}, source={store.name}_source)\n"


def field_text(store: Store, index: int) -> str:
    kind = "Float64" if store.kinds[index] == "number" else "String"
    return f'Field(name="f{index}", dtype={kind})'


def service_text(service: SyntheticService) -> str:
    features = ", ".join([*service.store.view_names, "request"])
    given = f'name="{service.name}", features=[{features}], tags=MODEL'
    return f"{service.name} = FeatureService({given})\n"
