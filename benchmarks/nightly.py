"""The nightly run beside the same night in stock Feast, and beside what Redis can take at most.

python -m benchmarks.nightly [--rows N] [--memory-rows N] [--stock-rows N] [--seed S]
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import redis

from benchmarks.contenders import champion
from benchmarks.home import Data, Home, fresh_home, lay_down, program, stop_like_ctrl_c
from benchmarks.houses import make_houses
from benchmarks.machine import PROJECT, machine
from benchmarks.materialize import measure_speeds, redis_on_socket
from benchmarks.nightly_report import Materialized, Night, Results, StockNight, report_nightly
from benchmarks.peers.stock_feast import configure
from benchmarks.processes import memory_of, session_of
from benchmarks.progress import print_progress
from benchmarks.writing import Writing, compare

SERVICE = "house_price_hybrid"
TRAINING_ROWS = 20_000
MATERIALIZED_ROWS = 200_000
WRITTEN_ROWS = 200_000
LOOK_SECONDS = 0.1
REPEATS = 3
FEATURES = (1, 10)


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
    surroundings = machine()
    larger = memory_rows or 4 * rows
    with tempfile.TemporaryDirectory() as folder:
        writings = measure_writing(Path(folder))
        materialized = measure_materialize(Path(folder))
    with fresh_home(PROJECT / "feature_repo") as home:
        learnt_from = Data(None, min(TRAINING_ROWS, rows), seed)
        lay_down(home, learnt_from, [SERVICE])
        nights = []
        for count in (rows, larger):
            print_progress(f"a night of {count:,} houses")
            make_houses(home, count, seed)
            nights.append(night(home))
            if count == rows:
                stock = stock_night(home, min(stock_rows, rows))
    report_nightly(surroundings, seed, Results(nights, stock, materialized, writings))


def night(home: Home) -> Night:
    """Run it, and look at the memory of all its processes meanwhile."""
    command = [program("potluck"), "nightly", "--json", "--force", "another number of houses"]
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
    said, failed = process.communicate()
    wall = time.perf_counter() - started
    watch.join()
    if process.returncode:
        raise SystemExit(f"potluck nightly failed with {process.returncode}:\n{failed[-2000:]}")
    (summary,) = json.loads(said)
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
    """The night in stock Feast, in a process of its own."""
    print_progress(f"stock Feast's night of {rows:,} houses")
    bundle = champion(home, SERVICE)
    project = bundle.contract.project
    repo = home.settings.home / "stock_feast"
    configure(home, project, repo)
    arguments = [
        str(repo),
        str(home.settings.data_folder(project)),
        str(bundle.folder),
        str(rows),
        datetime.now(UTC).isoformat(),
    ]
    told = run_module(home, "benchmarks.peers.stock_nightly", *arguments)
    return StockNight(**json.loads(told))


def run_module(home: Home, module: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
    done = subprocess.run(
        command, env=home.environment, capture_output=True, text=True, cwd=PROJECT
    )
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]


def measure_writing(folder: Path) -> list[Writing]:
    print_progress("the bulk writer and a raw socket")
    with redis_on_socket(folder) as path:
        client = redis.Redis(unix_socket_path=str(path))
        return [compare(client, path, features, WRITTEN_ROWS) for features in FEATURES]


def measure_materialize(folder: Path) -> list[Materialized]:
    print_progress("materialize, stock and not")
    found = []
    with redis_on_socket(folder) as path:
        for features in FEATURES:
            speeds = measure_speeds(folder, path, features, MATERIALIZED_ROWS, REPEATS)
            found.append(Materialized(features, speeds))
    return found


if __name__ == "__main__":
    main()
