"""A small project whose service has a model, over a real Redis: for what `potluck materialize` does
to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from feast import Entity, FeatureService, FeatureStore, ValueType
from feast.data_source import PushMode, PushSource
from feast.types import Float64
from online_stores import open_store, view_of, write_rows
from redis_servers import RedisProcess

from potluck.contract.features import FeatureContract
from potluck.contract.redis_format import entity_key
from potluck.contract.settings import Settings
from potluck.stores.definitions.registry import read_definitions
from potluck.stores.materialize.run import Materialized, materialize

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ITEM = Entity(name="item", join_keys=["id"], value_type=ValueType.INT64)
SERVICE = "t_hybrid"


def times(*moments: datetime | None) -> Any:
    return pa.array(moments, pa.timestamp("us", tz="UTC"))


def records(
    ids: Sequence[int | None], moments: Sequence[datetime | None] | None = None, **features: Any
) -> pa.Table:
    """Rows of the source `rows`; where no feature is given, `x` counts them."""
    columns = features or {"x": [float(number) for number in range(len(ids))]}
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            **columns,
            "event_timestamp": times(*moments or [NOON] * len(ids)),
        }
    )


@dataclass
class Shop:
    """One project in a folder; its definitions and data may change."""

    folder: Path
    redis: RedisProcess
    store: FeatureStore | None = None

    @property
    def settings(self) -> Settings:
        return Settings(home=self.folder, redis_url=f"redis://127.0.0.1:{self.redis.port}")

    @property
    def applied(self) -> FeatureStore:
        assert self.store is not None
        return self.store

    def define(
        self, rows: pa.Table, features: dict[str, Any] | None = None, **options: Any
    ) -> "Shop":
        """Write the source and apply one view `rec` over it, which a service looks up."""
        mapping, how = options.pop("field_mapping", {}), options.pop("opened", {})
        source = write_rows(self.folder, rows)
        source.field_mapping = mapping
        pushed = PushSource(name="pushed", batch_source=source)
        view = view_of(pushed, [ITEM], features or {"x": Float64}, "rec", **options)
        sales = write_rows(self.folder, records([1], y=[1.0]), "sales")
        tags = {"label": "sales.y", "objective": "regression"}
        service = FeatureService(name=SERVICE, features=[view], tags=tags)
        definitions = [ITEM, source, sales, pushed, view, service]
        self.store = open_store(self.folder, self.redis, definitions, ours=True, **how)
        return self

    def materialize(self, as_of: datetime = NOON, **options: Any) -> list[Materialized]:
        return materialize(self.settings, self.applied, as_of, **options)

    def push(self, ids: Sequence[int], moment: datetime, **features: Any) -> None:
        frame = records(ids, [moment] * len(ids), **features).to_pandas()
        self.applied.push("pushed", frame, to=PushMode.ONLINE)

    def contract(self) -> FeatureContract:
        return read_definitions(self.applied)[SERVICE].contract

    def read(self, *ids: int, feature: str = "x") -> list[Any]:
        found = self.applied.get_online_features(
            [f"rec:{feature}"], [{"id": number} for number in ids]
        )
        return list(found.to_dict()[feature])

    def stored(self, number: int) -> dict[bytes, bytes]:
        """An entity's hash, as it lies in Redis."""
        return dict(self.redis.client.hgetall(item_key(number)))  # type: ignore[arg-type]


def item_key(number: int) -> bytes:
    return entity_key("shop", ["id"], [number], ["int64"])
