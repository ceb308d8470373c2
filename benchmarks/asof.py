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
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa

from benchmarks.machine import Facts, Goal, goals_table, machine, print_written, table, write_result
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
    size = Size(keys, hours, labels)
    if quick:
        size, repeats = Size(20, 100, 500), 1
    taken = {}
    with tempfile.TemporaryDirectory(prefix="potluck-asof-") as folder:
        write_parquet(Path(folder) / "history.parquet", history(size))
        for name, store in CONTENDERS.items():
            taken[name] = alone(Path(folder), store, size, repeats)
    if len({one.digest for one in taken.values()}) != 1:
        raise SystemExit("the contenders' rows differ")
    described = {
        "kind": "synthetic",
        **vars(size),
        "features": len(FEATURES),
        "repeats": repeats,
    }
    report_asof(surroundings, described, taken, keep=not quick)


def report_asof(
    surroundings: Facts,
    data: Facts,
    taken: Mapping[str, Taken],
    *,
    keep: bool,
) -> None:
    """Print the table and the goal; write the figures to the result file, unless it is a trial."""
    medians = {name: statistics.median(one.seconds) for name, one in taken.items()}
    rows, figures = [], {}
    for name, one in taken.items():
        row = (
            name,
            f"{medians[name]:.3f}",
            f"{one.peak_mb:,.0f}",
            f"{one.before_mb:,.0f}",
        )
        rows.append(row)
        figures[name] = {"median_seconds": medians[name], **vars(one)}
    print(table(("store", "seconds", "peak MB", "MB before the join"), rows))
    times = medians["stock"] / medians["potluck"]
    goals = [Goal("stock's seconds ÷ potluck's", times, ">=", 5.0)]
    print("\n" + goals_table(goals))
    if keep:
        print_written(write_result("asof", surroundings, data, figures, goals))


def history(size: Size) -> pa.Table:
    """A record of every key at every full hour."""
    draw = np.random.default_rng(0)
    hours = START + np.arange(size.hours) * np.timedelta64(3600, "s")
    columns = {
        "key": np.repeat(np.arange(size.keys), size.hours),
        "event_timestamp": pa.array(np.tile(hours, size.keys)),
    }
    for name in FEATURES:
        columns[name] = draw.normal(size=size.keys * size.hours)
    return pa.table(columns)


def alone(folder: Path, store: str, size: Size, repeats: int) -> Taken:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measure_join, folder, store, size, repeats).result()


def measure_join(folder: Path, offline: str, size: Size, repeats: int) -> Taken:
    """Time the joins in this process; the first one warms up and does not count."""
    store = open_store(folder, offline)
    labels = entity_rows(size)
    references = [f"readings:{name}" for name in FEATURES]
    before, seconds = peak_mb(), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        with warnings.catch_warnings(action="ignore"):
            rows = store.get_historical_features(labels.copy(), references).to_arrow()
        seconds.append(time.perf_counter() - start)
    peak = peak_mb()  # before the rows are copied for the digest
    ordered = rows.sort_by("row")
    columns = [ordered[name].to_pylist() for name in FEATURES]
    digest = hashlib.sha256(repr(columns).encode()).hexdigest()
    return Taken(seconds[1:], peak, before, digest)


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
        name="history",
        path=str(folder / "history.parquet"),
        timestamp_field="event_timestamp",
    )
    fields = [Field(name=name, dtype=Float64) for name in FEATURES]
    readings = FeatureView(name="readings", entities=[sensor], schema=fields, source=source)
    store = FeatureStore(config=config)
    store.apply([sensor, readings])
    return store


def entity_rows(size: Size) -> Any:
    """Labels at any second of the history, of known keys and of one in fifty that nobody knows."""
    import pandas as pd

    draw = np.random.default_rng(1)
    seconds = draw.integers(0, size.hours * 3600, size.labels)
    times = START + seconds * np.timedelta64(1, "s")
    known = size.keys
    unknown = known // 50
    columns = {
        "key": draw.integers(0, known + unknown, size.labels),
        "event_timestamp": pd.to_datetime(times, utc=True),
        "row": range(size.labels),
    }
    return pd.DataFrame(columns)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
