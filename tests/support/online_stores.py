"""Small Feast projects over a real Redis: one with stock's store and engine, one with ours, over
the same file."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from redis_servers import RedisProcess

OURS = {"type": "potluck.stores.online.PotluckOnlineStore"}
STOCK = {"type": "redis"}
START, END = datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def write_rows(folder: Path, table: pa.Table, name: str = "rows") -> FileSource:
    """A parquet source with the column `event_timestamp`."""
    path = folder / f"{name}.parquet"
    pq.write_table(table, path, coerce_timestamps="us", allow_truncated_timestamps=True)
    return FileSource(name=name, path=str(path), timestamp_field="event_timestamp")


def view_of(
    source: FileSource,
    entities: Sequence[Entity],
    features: dict[str, Any],
    name: str = "numbers",
    **options: Any,
) -> FeatureView:
    options.setdefault("ttl", timedelta(0))
    schema = [Field(name=feature, dtype=dtype) for feature, dtype in features.items()]
    return FeatureView(name=name, entities=list(entities), schema=schema, source=source, **options)


def open_store(
    folder: Path,
    redis: RedisProcess,
    definitions: Sequence[Any],
    ours: bool,
    project: str = "shop",
    url: str = "",
    engine: str = "potluck.stores.engine.PotluckEngine",
    **online: Any,
) -> FeatureStore:
    """Apply definitions in a project of their own."""
    plain = f"127.0.0.1:{redis.port}"
    where = url or (f"redis://{plain}" if ours else plain)
    store = FeatureStore(
        config=RepoConfig(
            project=project,
            provider="local",
            registry={
                "registry_type": "file",
                "path": str(folder / f"{project}-{'ours' if ours else 'stock'}.db"),
            },
            offline_store={
                "type": "potluck.stores.duckdb_offline.PotluckOfflineStore" if ours else "duckdb"
            },
            online_store={**(OURS if ours else STOCK), "connection_string": where, **online},
            batch_engine={"type": engine if ours else "local"},
            entity_key_serialization_version=3,
        )
    )
    store.apply(list(definitions))
    return store


def dumps(redis: RedisProcess) -> dict[bytes, bytes]:
    """Every key's serialization, after which the server is empty."""
    client = redis.client
    found = {key: client.dump(key) for key in client.keys("*")}
    client.flushall()
    return found
