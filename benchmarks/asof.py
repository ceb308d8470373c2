"""How long a point-in-time join of a history takes: Potluck's offline store beside stock Feast's,
the same rows.

    python -m benchmarks.asof [--keys 260] [--hours 1440] [--labels 20000] [--repeats 3] [--quick]

Every contender has a process of its own, so that its peak memory is its own. The time is that of
`store.get_historical_features(...).to_arrow()` after one warm-up; both must give the same rows,
value by value.
"""

import hashlib
import resource
import statistics
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa

from benchmarks.machine import PROJECT, Goal, goals_table, machine, table, write_result
from potluck.stores.ingest.sources import write_parquet

CONTENDERS = {"potluck": "potluck.stores.duckdb_offline.PotluckOfflineStore", "stock": "duckdb"}
FEATURES = tuple(f"f{number}" for number in range(10))
START = np.datetime64("2024-01-01", "us")


@dataclass(frozen=True)
class Size:
    """How much history and how many labels."""

    keys: int
    hours: int
    labels: int


@dataclass(frozen=True)
class Taken:
    """What one contender took; `digest` is of its rows in the labels' order."""

    seconds: list[float]
    peak_mb: float
    before_mb: float
    digest: str


@click.command()
@click.option(
    "--keys", default=260, show_default=True, help="Entities, each with a record every hour."
)
@click.option("--hours", default=1440, show_default=True)
@click.option("--labels", default=20_000, show_default=True)
@click.option("--repeats", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--quick", is_flag=True, help="A small history, once, nothing kept: whether it works."
)
def main(keys: int, hours: int, labels: int, repeats: int, quick: bool) -> None:
    """Join the same labels with the same history, by each contender in turn."""
    surroundings = machine()
    size, repeats = (Size(20, 100, 500), 1) if quick else (Size(keys, hours, labels), repeats)
    with tempfile.TemporaryDirectory(prefix="potluck-asof-") as folder:
        write_parquet(Path(folder) / "history.parquet", history(size))
        taken = {
            name: alone(Path(folder), store, size, repeats) for name, store in CONTENDERS.items()
        }
    if len({one.digest for one in taken.values()}) != 1:
        raise SystemExit("the contenders' rows differ")
    medians = {name: statistics.median(one.seconds) for name, one in taken.items()}
    cells = [
        (n, f"{medians[n]:.3f}", f"{one.peak_mb:,.0f}", f"{one.before_mb:,.0f}")
        for n, one in taken.items()
    ]
    print(table(("store", "seconds", "peak MB", "MB before the join"), cells))
    goals = [Goal("stock's seconds ÷ potluck's", medians["stock"] / medians["potluck"], ">=", 5.0)]
    print("\n" + goals_table(goals))
    if not quick:
        figures = {
            name: {"median_seconds": medians[name], **vars(one)} for name, one in taken.items()
        }
        described = {
            "kind": "synthetic",
            **vars(size),
            "features": len(FEATURES),
            "repeats": repeats,
        }
        print(
            "\nwrote "
            f"{write_result('asof', surroundings, described, figures, goals).relative_to(PROJECT)}"
        )


def history(size: Size) -> pa.Table:
    """A record of every key at every full hour."""
    draw, count = np.random.default_rng(0), size.keys * size.hours
    times = np.tile(START + np.arange(size.hours) * np.timedelta64(3600, "s"), size.keys)
    keys = {"key": np.repeat(np.arange(size.keys), size.hours), "event_timestamp": pa.array(times)}
    return pa.table(keys | {name: draw.normal(size=count) for name in FEATURES})


def alone(folder: Path, store: str, size: Size, repeats: int) -> Taken:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measure_join, folder, store, size, repeats).result()


def measure_join(folder: Path, offline: str, size: Size, repeats: int) -> Taken:
    store, labels = open_store(folder, offline), entity_rows(size)
    references = [f"readings:{name}" for name in FEATURES]
    before, seconds = peak_mb(), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        with warnings.catch_warnings(action="ignore"):
            rows = store.get_historical_features(labels.copy(), references).to_arrow()
        seconds.append(time.perf_counter() - start)
    peak = peak_mb()
    columns = [rows.sort_by("row")[name].to_pylist() for name in FEATURES]
    return Taken(seconds[1:], peak, before, hashlib.sha256(repr(columns).encode()).hexdigest())


def open_store(folder: Path, offline: str) -> Any:
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
    from feast.types import Float64

    config = RepoConfig(
        project="asof",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        offline_store={"type": offline},
        entity_key_serialization_version=3,
    )
    sensor = Entity(name="sensor", join_keys=["key"], value_type=ValueType.INT64)
    source = FileSource(
        name="history", path=str(folder / "history.parquet"), timestamp_field="event_timestamp"
    )
    fields = [Field(name=name, dtype=Float64) for name in FEATURES]
    store = FeatureStore(config=config)
    store.apply(
        [sensor, FeatureView(name="readings", entities=[sensor], schema=fields, source=source)]
    )
    return store


def entity_rows(size: Size) -> Any:
    """Labels at any second of the history, of known keys and of one in fifty that nobody knows."""
    import pandas as pd

    draw = np.random.default_rng(1)
    times = START + draw.integers(0, size.hours * 3600, size.labels) * np.timedelta64(1, "s")
    keys = draw.integers(0, size.keys + size.keys // 50, size.labels)
    return pd.DataFrame(
        {"key": keys, "event_timestamp": pd.to_datetime(times, utc=True), "row": range(size.labels)}
    )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
