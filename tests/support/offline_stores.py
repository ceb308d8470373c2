"""Two Feast stores over one registry and the same parquet files: stock's DuckDB store, and
Potluck's."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureStore, FileSource, RepoConfig

OURS = "potluck.stores.duckdb_offline.PotluckOfflineStore"


def open_store(folder: Path, offline: dict[str, Any]) -> FeatureStore:
    config = RepoConfig(
        project="parity",
        provider="local",
        registry={
            "registry_type": "file",
            "path": str(folder / "registry.db"),
            "cache_ttl_seconds": 0,
        },
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        offline_store=offline,
        entity_key_serialization_version=3,
        repo_path=folder,
    )
    return FeatureStore(config=config)


def stock_and_ours(folder: Path, definitions: Sequence[Any]) -> tuple[FeatureStore, FeatureStore]:
    """Register the definitions; they are the same to both stores."""
    stock = open_store(folder, {"type": "duckdb"})
    with warnings.catch_warnings(action="ignore"):
        stock.apply(list(definitions))
    return stock, open_store(folder, {"type": OURS})


def parquet(path: Path, columns: Any, **options: Any) -> FileSource:
    """A source over a new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path)
    return FileSource(name=path.stem, path=str(path), timestamp_field="event_timestamp", **options)
