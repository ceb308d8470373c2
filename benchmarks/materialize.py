"""How fast `feast materialize` fills Redis: Feast's own store and engine, and ours, from the same
parquet file."""

import contextlib
import io
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import redis

from benchmarks.machine import Goal, goals_table, machine, table, write_result
from potluck.redis.embedded import server_binary

STOCK, UNCHECKED, CHECKED = "Feast, skip_dedup", "Potluck, skip_dedup", "Potluck, newer wins"
WAYS = (STOCK, UNCHECKED, CHECKED)
WANTED = 10.0
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
ENGINE = {"type": "potluck.stores.engine.PotluckEngine"}
ONLINE = "potluck.stores.online.PotluckOnlineStore"
OFFLINE = "potluck.stores.duckdb_offline.PotluckOfflineStore"


@click.command()
@click.option("--rows", default=200_000, show_default=True)
@click.option("--features", "widths", multiple=True, type=int, default=(1, 10), show_default=True)
@click.option("--repeats", type=click.IntRange(1, 20), default=3, show_default=True)
def main(rows: int, widths: Sequence[int], repeats: int) -> None:
    """Materialize the same entities each way in turn, into a Redis that is emptied before."""
    surroundings = machine()
    with tempfile.TemporaryDirectory() as folder, redis_on_socket(Path(folder)) as socket:
        figures = {
            width: measure_speeds(Path(folder), socket, width, rows, repeats) for width in widths
        }
    report_materialize(surroundings, {"rows": rows, "repeats": repeats}, figures)


@contextlib.contextmanager
def redis_on_socket(folder: Path) -> Iterator[Path]:
    """A server without persistence; answers its socket."""
    socket = folder / "redis.sock"
    command = [
        server_binary(),
        "--port",
        "0",
        "--unixsocket",
        str(socket),
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.01)
        yield socket
    finally:
        server.terminate()
        server.wait()


def measure_speeds(
    folder: Path, socket: Path, width: int, rows: int, repeats: int
) -> dict[str, float]:
    """Rows a second of each way, the median of all turns but a small first one, which imports what
    is needed."""
    client, seconds = redis.Redis(unix_socket_path=str(socket)), dict[str, list[float]]()
    for way in WAYS:
        time_materialize(store_of(folder, socket, way, width, 100))
    for _ in range(repeats):
        for way in WAYS:
            client.flushall()
            store = store_of(folder, socket, way, width, rows)
            seconds.setdefault(way, []).append(time_materialize(store))
            assert client.dbsize() == rows
    return {way: rows / median(found) for way, found in seconds.items()}


def time_materialize(store: Any) -> float:
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter()
        store.materialize(NOON - timedelta(days=1), NOON + timedelta(days=1))
        return time.perf_counter() - started


def store_of(folder: Path, socket: Path, way: str, width: int, rows: int) -> Any:
    """A project over a view of float64 features."""
    from feast import FeatureStore, RepoConfig

    stock = way == STOCK
    where = f"localhost:0,unix_socket_path={socket}" if stock else f"unix://{socket}"
    online = {
        "type": "redis" if stock else ONLINE,
        "connection_string": where,
        "skip_dedup": way != CHECKED,
    }
    name = f"{WAYS.index(way)}-{width}-{rows}"
    config = RepoConfig(
        project="bench",
        provider="local",
        registry={"registry_type": "file", "path": str(folder / f"{name}.db")},
        offline_store={"type": "duckdb" if stock else OFFLINE},
        online_store=online,
        batch_engine={"type": "local"} if stock else ENGINE,
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    with warnings.catch_warnings(action="ignore"):
        store.apply(definitions(folder / f"{width}-{rows}.parquet", width, rows))
    return store


def definitions(path: Path, width: int, rows: int) -> list[Any]:
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64

    names = [f"f{place}" for place in range(width)]
    if not path.exists():
        random = np.random.default_rng(0)
        columns = {name: random.normal(size=rows) for name in names}
        times = pa.array([NOON] * rows, pa.timestamp("us", tz="UTC"))
        pq.write_table(pa.table({"Id": np.arange(rows), **columns, "event_timestamp": times}), path)
    house = Entity(name="house", join_keys=["Id"], value_type=ValueType.INT64)
    source = FileSource(name="rows", path=str(path), timestamp_field="event_timestamp")
    schema = [Field(name=name, dtype=Float64) for name in names]
    return [
        house,
        FeatureView(
            name="record", entities=[house], schema=schema, source=source, ttl=timedelta(0)
        ),
    ]


def report_materialize(
    surroundings: Mapping[str, Any],
    data: Mapping[str, Any],
    figures: Mapping[int, Mapping[str, float]],
) -> None:
    rows = [
        (f"{width} feature(s), {way}", f"{speed:,.0f}", f"{speed / speeds[STOCK]:.1f}")
        for width, speeds in figures.items()
        for way, speed in speeds.items()
    ]
    goals = [
        Goal(
            f"times Feast's speed like for like, {width} feature(s)",
            speeds[UNCHECKED] / speeds[STOCK],
            ">=",
            WANTED,
        )
        for width, speeds in figures.items()
    ]
    click.echo(table(("", "rows/s", "times Feast"), rows))
    click.echo(goals_table(goals))
    note = (
        "the first turn, which imports Feast's readers, is small and does not count; "
        "Redis shares the cores"
    )
    click.echo(
        write_result(
            "materialize",
            surroundings,
            data,
            {str(w): dict(f) for w, f in figures.items()},
            goals,
            [note],
        )
    )


if __name__ == "__main__":
    main()
