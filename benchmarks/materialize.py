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

from benchmarks.machine import Facts, Goal, goals_table, machine, table, write_result
from potluck.redis.embedded import server_binary

STOCK, UNCHECKED, CHECKED = "Feast, skip_dedup", "Potluck, skip_dedup", "Potluck, newer wins"
WAYS = (STOCK, UNCHECKED, CHECKED)
WANTED = 10.0
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
ENGINE = {"type": "potluck.stores.engine.PotluckEngine"}
ONLINE = "potluck.stores.online.PotluckOnlineStore"
OFFLINE = "potluck.stores.duckdb_offline.PotluckOfflineStore"
NOTE = (
    "the first turn, which imports Feast's readers, is small and does not count; "
    "Redis shares the cores"
)


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
    client = redis.Redis(unix_socket_path=str(socket))
    for way in WAYS:
        time_materialize(store_of(folder, socket, way, width, 100))
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        for way in WAYS:
            client.flushall()
            store = store_of(folder, socket, way, width, rows)
            seconds[way].append(time_materialize(store))
            assert client.dbsize() == rows
    return {way: rows / median(found) for way, found in seconds.items()}


def time_materialize(store: Any) -> float:
    """Seconds of Feast's own call, over all the rows' moment."""
    day = timedelta(days=1)
    with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
        started = time.perf_counter()
        store.materialize(NOON - day, NOON + day)
        return time.perf_counter() - started


def store_of(folder: Path, socket: Path, way: str, width: int, rows: int) -> Any:
    """A project over a view of float64 features."""
    from feast import FeatureStore, RepoConfig

    name = f"{WAYS.index(way)}-{width}-{rows}"
    config = RepoConfig(
        project="bench",
        provider="local",
        registry={"registry_type": "file", "path": str(folder / f"{name}.db")},
        entity_key_serialization_version=3,
        **stores_of(socket, way),
    )
    store = FeatureStore(config=config)
    source = folder / f"{width}-{rows}.parquet"
    with warnings.catch_warnings(action="ignore"):
        store.apply(definitions(source, width, rows))
    return store


def stores_of(socket: Path, way: str) -> dict[str, Any]:
    """Feast's own stores and engine, or Potluck's."""
    skip_dedup = way != CHECKED
    if way == STOCK:
        return {
            "offline_store": {"type": "duckdb"},
            "online_store": {
                "type": "redis",
                "connection_string": f"localhost:0,unix_socket_path={socket}",
                "skip_dedup": skip_dedup,
            },
            "batch_engine": {"type": "local"},
        }
    return {
        "offline_store": {"type": OFFLINE},
        "online_store": {
            "type": ONLINE,
            "connection_string": f"unix://{socket}",
            "skip_dedup": skip_dedup,
        },
        "batch_engine": ENGINE,
    }


def definitions(path: Path, width: int, rows: int) -> list[Any]:
    """An entity and its view, over a file that is made if it is not there."""
    from feast import Entity, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64

    names = [f"f{place}" for place in range(width)]
    if not path.exists():
        make_source(path, names, rows)
    house = Entity(name="house", join_keys=["Id"], value_type=ValueType.INT64)
    source = FileSource(name="rows", path=str(path), timestamp_field="event_timestamp")
    schema = [Field(name=name, dtype=Float64) for name in names]
    record = FeatureView(
        name="record",
        entities=[house],
        schema=schema,
        source=source,
        ttl=timedelta(0),
    )
    return [house, record]


def make_source(path: Path, names: Sequence[str], rows: int) -> None:
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {"Id": np.arange(rows)}
    for name in names:
        columns[name] = random.normal(size=rows)
    columns["event_timestamp"] = pa.array([NOON] * rows, pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table(columns), path)


def report_materialize(
    surroundings: Facts,
    data: Facts,
    figures: Mapping[int, Mapping[str, float]],
) -> None:
    """Print the tables, and write the figures to the result file."""
    rows, goals = [], []
    for width, speeds in figures.items():
        stock = speeds[STOCK]
        for way, speed in speeds.items():
            row = (
                f"{width} feature(s), {way}",
                f"{speed:,.0f}",
                f"{speed / stock:.1f}",
            )
            rows.append(row)
        times = speeds[UNCHECKED] / stock
        name = f"times Feast's speed like for like, {width} feature(s)"
        goals.append(Goal(name, times, ">=", WANTED))
    click.echo(table(("", "rows/s", "times Feast"), rows))
    click.echo(goals_table(goals))
    kept = {str(width): dict(speeds) for width, speeds in figures.items()}
    click.echo(write_result("materialize", surroundings, data, kept, goals, [NOTE]))


if __name__ == "__main__":
    main()
