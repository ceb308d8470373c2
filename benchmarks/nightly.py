"""The nightly run beside the same night in stock Feast, and beside what Redis can take at most.

python -m benchmarks.nightly [--rows N] [--memory-rows N] [--stock-rows N] [--seed S]
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import redis

from benchmarks.contenders import champion
from benchmarks.home import BIN, Data, Home, fresh_home, lay_down, stop_like_ctrl_c
from benchmarks.houses import make_houses
from benchmarks.machine import PROJECT, Goal, goals_table, machine, table, write_result
from benchmarks.materialize import STOCK, UNCHECKED, WAYS, measure, own_redis
from benchmarks.peers.stock_feast import configure
from benchmarks.processes import memory_of, session_of
from benchmarks.writing import Writing, compare

SERVICE = "house_price_hybrid"
TRAINING_ROWS = 20_000
MATERIALIZED_ROWS = 200_000
WRITTEN_ROWS = 200_000
LOOK_SECONDS = 0.1
REPEATS = 3
FEATURES = (1, 10)

LEAST_TIMES_STOCK, LEAST_TIMES_MATERIALIZE, LEAST_SHARE_OF_RAW = 15.0, 10.0, 0.6
MOST_MEMORY_GROWTH, MOST_SECONDS_PER_MILLION = 1.3, 60.0

NOTES = (
    "potluck nightly: the whole command from its start to its end, imports, validation, staging, verification, history",
    "  and pruning included; its peak memory is the sum over its processes (proportional set size), without Redis.",
    "Stock Feast: get_historical_features, Booster.predict with all cores, write_to_online_store with skip_dedup, on a",
    "  smaller number of rows, as it is slow; imports are not counted. It stages, verifies and switches nothing.",
    "Materialize: Feast's own call over the same data, stock Redis store and local engine against Potluck's plug-ins.",
    "Houses beyond the first million are copies under new ids.",
    "Raw socket: the finished bytes of the same commands, sent while another thread counts replies.",
    "Redis shares the cores. In the nights it is the home's own, with an append-only file, for stock Feast too; in the",
    "  rest a server of its own without one.",
)


@dataclass(frozen=True)
class Night:
    """One `potluck nightly`."""

    rows: int
    wall_seconds: float
    peak_mb: float
    seconds: Mapping[str, float]

    @property
    def per_second(self) -> float:
        return self.rows / self.wall_seconds


@dataclass(frozen=True)
class StockNight:
    """The same night in stock Feast, on fewer rows."""

    rows: int
    seconds: Mapping[str, float]

    @property
    def per_second(self) -> float:
        return self.rows / sum(self.seconds.values())


@dataclass(frozen=True)
class Materialized:
    """Rows a second of `materialize`; medians."""

    features: int
    per_second: Mapping[str, float]


@click.command()
@click.option(
    "--rows", type=click.IntRange(min=1000), default=1_000_000, show_default=True, help="Houses."
)
@click.option(
    "--memory-rows",
    type=int,
    default=None,
    help="Houses of the second night.  [default: 4 times as many]",
)
@click.option(
    "--stock-rows",
    type=int,
    default=20_000,
    show_default=True,
    help="Houses of stock Feast's night.",
)
@click.option("--seed", default=0, show_default=True)
def main(rows: int, memory_rows: int | None, stock_rows: int, seed: int) -> None:
    """Measure a night."""
    stop_like_ctrl_c()
    surroundings, larger = machine(), memory_rows or 4 * rows
    with tempfile.TemporaryDirectory() as folder:
        writings, materialized = measure_writing(Path(folder)), measure_materialize(Path(folder))
    with fresh_home(PROJECT / "feature_repo") as home:
        lay_down(home, Data(None, min(TRAINING_ROWS, rows), seed), [SERVICE])
        nights = []
        for count in (rows, larger):
            tell(f"a night of {count:,} houses")
            make_houses(home, count, seed)
            nights.append(night(home))
            if count == rows:
                stock = stock_night(home, min(stock_rows, rows))
    report(surroundings, seed, nights, stock, materialized, writings)


def tell(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)


def night(home: Home) -> Night:
    """Run it, and look at the memory of all its processes meanwhile."""
    command = [str(BIN / "potluck"), "nightly", "--json", "--force", "another number of houses"]
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=home.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    peak = [0.0]
    watch = threading.Thread(target=watch_memory, args=(process, peak))
    watch.start()
    told, failed = process.communicate()
    wall = time.perf_counter() - started
    watch.join()
    if process.returncode:
        raise SystemExit(f"potluck nightly failed with {process.returncode}:\n{failed[-2000:]}")
    (summary,) = json.loads(told)
    return Night(summary["rows"], wall, peak[0], summary["seconds"])


def watch_memory(process: "subprocess.Popen[str]", peak: list[float]) -> None:
    while process.poll() is None:
        held = 0.0
        for pid in session_of(process.pid):
            try:
                held += memory_of(pid).share
            except (OSError, KeyError):
                continue
        peak[0] = max(peak[0], held)
        time.sleep(LOOK_SECONDS)


def stock_night(home: Home, rows: int) -> StockNight:
    tell(f"stock Feast's night of {rows:,} houses")
    bundle = champion(home, SERVICE)
    repo = home.settings.home / "stock_feast"
    configure(home, bundle.contract.project, repo)
    data = home.settings.data_folder(bundle.contract.project)
    arguments = [str(repo), str(data), str(bundle.folder), str(rows), datetime.now(UTC).isoformat()]
    told = run(home, "benchmarks.peers.stock_nightly", *arguments)
    return StockNight(**json.loads(told))


def run(home: Home, module: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    done = subprocess.run(
        command, env=home.environment, capture_output=True, text=True, cwd=PROJECT
    )
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]


def measure_writing(folder: Path) -> list[Writing]:
    tell("the bulk writer and a raw socket")
    with own_redis(folder) as path:
        client = redis.Redis(unix_socket_path=str(path))
        return [compare(client, path, features, WRITTEN_ROWS) for features in FEATURES]


def measure_materialize(folder: Path) -> list[Materialized]:
    tell("materialize, stock and not")
    with own_redis(folder) as path:
        return [
            Materialized(features, measure(folder, path, features, MATERIALIZED_ROWS, REPEATS))
            for features in FEATURES
        ]


def report(
    surroundings: dict[str, Any],
    seed: int,
    nights: Sequence[Night],
    stock: StockNight,
    materialized: Sequence[Materialized],
    writings: Sequence[Writing],
) -> None:
    print(nights_table(nights, stock))
    print("\n" + table(("materialize, rows/s", *WAYS), [told(each) for each in materialized]))
    heads = ("write, rows/s", "bulk writer", "raw socket", "share")
    rows = [
        (f"{w.features} feature(s)", f"{w.bulk:,.0f}", f"{w.raw:,.0f}", f"{w.share:.2f}")
        for w in writings
    ]
    print("\n" + table(heads, rows))
    goals = goals_of(nights, stock, materialized, writings)
    print("\n" + "\n".join(NOTES) + "\n\n" + goals_table(goals))
    figures = {
        "nights": [{**asdict(each), "per_second": each.per_second} for each in nights],
        "stock_night": {**asdict(stock), "per_second": stock.per_second},
        "materialize": [asdict(each) for each in materialized],
        "writing": [{**asdict(each), "share": each.share} for each in writings],
    }
    data = {
        "kind": "made by the repo's ingest",
        "rows": [each.rows for each in nights],
        "seed": seed,
    }
    print(
        f"\nwrote {write_result('nightly', surroundings, data, figures, goals, NOTES).relative_to(PROJECT)}"
    )


def nights_table(nights: Sequence[Night], stock: StockNight) -> str:
    steps = list(nights[0].seconds)
    heads = (
        "rows/s",
        *(f"potluck, {each.rows:,}" for each in nights),
        f"stock Feast, {stock.rows:,}",
    )
    rows = [
        (
            step,
            *(rate(each.rows, each.seconds.get(step)) for each in nights),
            rate(stock.rows, stock.seconds.get(step)),
        )
        for step in dict.fromkeys([*steps, *stock.seconds])
    ]
    whole = ("whole", *(f"{each.per_second:,.0f}" for each in nights), f"{stock.per_second:,.0f}")
    seconds = (
        "seconds",
        *(f"{each.wall_seconds:.1f}" for each in nights),
        f"{sum(stock.seconds.values()):.1f}",
    )
    memory = ("peak memory, MB", *(f"{each.peak_mb:,.0f}" for each in nights), "")
    return table(heads, [*rows, whole, seconds, memory])


def rate(rows: int, seconds: float | None) -> str:
    return f"{rows / seconds:,.0f}" if seconds else ""


def told(each: Materialized) -> tuple[str, ...]:
    return (f"{each.features} feature(s)", *(f"{each.per_second[name]:,.0f}" for name in WAYS))


def goals_of(
    nights: Sequence[Night],
    stock: StockNight,
    materialized: Sequence[Materialized],
    writings: Sequence[Writing],
) -> list[Goal]:
    first, larger = nights
    times = first.per_second / stock.per_second
    growth = larger.peak_mb / first.peak_mb
    per_million = first.wall_seconds * 1_000_000 / first.rows
    return [
        Goal("night: times stock Feast", times, ">=", LEAST_TIMES_STOCK),
        Goal("seconds for a million houses", per_million, "<", MOST_SECONDS_PER_MILLION),
        Goal(
            f"peak memory at {larger.rows:,} ÷ at {first.rows:,}", growth, "<=", MOST_MEMORY_GROWTH
        ),
        *(
            Goal(
                f"materialize of {each.features} feature(s): times Feast's",
                each.per_second[UNCHECKED] / each.per_second[STOCK],
                ">=",
                LEAST_TIMES_MATERIALIZE,
            )
            for each in materialized
        ),
        *(
            Goal(
                f"writer of {each.features} feature(s): share of a raw socket",
                each.share,
                ">=",
                LEAST_SHARE_OF_RAW,
            )
            for each in writings
        ),
    ]


if __name__ == "__main__":
    main()
