"""How the cost of a hybrid request grows with features looked up, trees, feature views and rows.

    python -m benchmarks.growth [--seconds 2] [--repeats 3] [--quick] [--entities 1000] [--seed 0]

One thing grows at a time from the same base. All services of one synthetic feature repo are served
by one server.
"""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from benchmarks.agreement import answer
from benchmarks.contenders import champion
from benchmarks.cores import for_one_worker
from benchmarks.figures import Figures, failures_of, figures_by_case, rival_figures
from benchmarks.growth_points import (
    AXES,
    BASE,
    BASE_POINT,
    BASE_STORE,
    POINTS,
    SERVICES,
    GrowthPoint,
    requests_for,
)
from benchmarks.home import HOUSE_MODEL, Data, Home, fresh_home, lay_down, stop_like_ctrl_c, train
from benchmarks.load import LoadRun
from benchmarks.machine import Facts, machine, print_notes, print_written, table, write_result
from benchmarks.progress import print_progress
from benchmarks.rivals import ECHO, MANY, ONE, POTLUCK, bare_echo, own_prices, potluck
from benchmarks.rounds import Key, Pace, Runs, process_of_redis, rounds, running
from benchmarks.synthetic_repo import write_repo

NOTES = (
    (
        f"The base: {BASE_STORE.features} features looked up in {BASE_STORE.views} view, every "
        "fifth a text; 1 row;"
    ),
    (
        f"  {BASE.trees} trees of 16 leaves. Each line differs in one thing. A request brings a "
        "key and a number."
    ),
    "rows: one row goes to /predict/{service}, more to /predict/{service}/batch.",
    (
        f"cpu: the server's processor time for one request, in a closed loop over {MANY} "
        "connections; without Redis's."
    ),
    f"{ECHO}: a bare ASGI server that answers the base's requests with their own bodies.",
)


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(0.1),
    default=2.0,
    show_default=True,
    help="Of one measurement.",
)
@click.option("--repeats", type=click.IntRange(1, 50), default=3, show_default=True)
@click.option("--quick", is_flag=True, help="Half a second, once, nothing kept: whether it works.")
@click.option("--entities", type=click.IntRange(1000), default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(seconds: float, repeats: int, quick: bool, entities: int, seed: int) -> None:
    """Measure every point in turn."""
    stop_like_ctrl_c()
    surroundings = machine()
    pace = Pace(0.3, 0.5, 1) if quick else Pace(0.5, seconds, repeats)
    data = Data(None, entities, seed)
    with (
        tempfile.TemporaryDirectory(prefix="potluck-growth-") as folder,
        fresh_home(Path(folder) / "repo") as home,
    ):
        write_repo(home.settings.repo, SERVICES)
        train_all(home, data)
        runs = measure_growth(home, entities, pace)
    described = {**data.described(), **asdict(pace), "pinned": for_one_worker().told()}
    report_growth(surroundings, described, runs, keep=not quick)


def train_all(home: Home, data: Data) -> None:
    """Fill the home and train each service with as many trees as it is to have."""
    lay_down(home, data, ())
    for service in SERVICES:
        print_progress(f"training {service.name}")
        train(home, service.name, {**HOUSE_MODEL, "num_iterations": service.trees})
        model = champion(home, service.name).folder / "model.txt"
        trees = model.read_text().count("\nTree=")
        if trees != service.trees:
            raise SystemExit(
                f"{service.name} has {trees} trees, not {service.trees}; take more --entities"
            )


def measure_growth(home: Home, entities: int, pace: Pace) -> dict[Key, list[LoadRun]]:
    """Ask Potluck at each point, and a bare echo at the base."""
    traffic = {point.case: list(requests_for(point, entities)) for point in POINTS}
    echo = bare_echo({BASE_POINT.case: traffic[BASE_POINT.case]})
    with running(home, [potluck(home.settings.repo, traffic), echo]) as up:
        for requests in traffic.values():
            numbers = own_prices(answer(up[0].server.port, requests[0]))
            assert all(math.isfinite(number) for number in numbers)
        store = process_of_redis(home.settings.online_store_url)
        return rounds(up, list(traffic), store, pace)


def report_growth(
    surroundings: Facts,
    data: Facts,
    runs: Runs,
    *,
    keep: bool,
) -> None:
    """Print the table; write the figures to the result file, unless it is a trial."""
    figures = rival_figures(runs)
    notes = [*NOTES]
    for (case, name, count), why in failures_of(runs).items():
        notes.append(f"{name}, {case} x {count}: FAILED: {why}")
    print(growth_table(figures))
    print_notes(notes)
    if keep:
        kept = {
            "growth": costs_by_axis(figures),
            "per_unit_cpu_us": slopes(figures),
            "cases": figures_by_case(figures, runs),
        }
        print_written(write_result("growth", surroundings, data, kept, (), notes))


def growth_table(figures: Figures) -> str:
    """A line for each point that was measured."""
    head = (
        "axis",
        "value",
        "p50 ms x 1",
        "p99 ms x 1",
        f"requests/s x {MANY}",
        "rows/s",
        "cpu us",
        "÷ base",
    )
    base = cost(BASE_POINT, figures)
    rows = []
    for point in POINTS:
        found = cost(point, figures)
        if found and base:
            rows.append(cost_row(point, found, base))
    return table(head, rows)


def cost_row(
    point: GrowthPoint, found: Mapping[str, float], base: Mapping[str, float]
) -> tuple[str, ...]:
    return (
        point.axis,
        str(point.value),
        f"{found['p50_ms']:,.3f}",
        f"{found['p99_ms']:,.3f}",
        f"{found['per_second']:,.0f}",
        f"{found['rows_per_second']:,.0f}",
        f"{found['cpu_us']:,.1f}",
        f"{found['cpu_us'] / base['cpu_us']:.2f}",
    )


def cost(point: GrowthPoint, figures: Figures) -> dict[str, float] | None:
    """Of one request at this point: with one connection its latency, with many its rate and
    processor time."""
    one = figures.get((point.case, POTLUCK, ONE))
    many = figures.get((point.case, POTLUCK, MANY))
    if one is None or many is None:
        return None
    return {
        "p50_ms": one.p50_ms,
        "p99_ms": one.p99_ms,
        "per_second": many.per_second,
        "rows_per_second": many.per_second * point.rows,
        "cpu_us": 1e6 * many.server_cpu / many.per_second,
    }


def costs_by_axis(figures: Figures) -> dict[str, dict[int, Any]]:
    """Axis -> value -> cost."""
    found = {}
    for axis, points in AXES.items():
        found[axis] = {point.value: cost(point, figures) for point in points}
    return found


def slopes(figures: Figures) -> dict[str, float]:
    """What one more of each costs: between the ends of its axis, in microseconds of processor
    time."""
    found = {}
    for axis, points in AXES.items():
        start, end = points[0], points[-1]
        first = cost(start, figures)
        last = cost(end, figures)
        if first and last:
            more = last["cpu_us"] - first["cpu_us"]
            found[axis] = more / (end.value - start.value)
    return found


if __name__ == "__main__":
    main()
