"""How the cost of a hybrid request grows with features looked up, trees, feature views and rows.

    python -m benchmarks.growth [--seconds 2] [--repeats 3] [--quick] [--entities 1000] [--seed 0]

One thing grows at a time from the same base. All services of one synthetic feature repo are served
by one server.
"""

import math
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.agreement import answer
from benchmarks.contenders import champion
from benchmarks.cores import for_one_worker
from benchmarks.figures import Figures, failures_of, figures_by_case, rival_figures
from benchmarks.home import HOUSE_MODEL, Data, Home, fresh_home, lay_down, stop_like_ctrl_c, train
from benchmarks.load import LoadRun
from benchmarks.machine import PROJECT, machine, table, write_result
from benchmarks.rivals import ECHO, MANY, ONE, POTLUCK, bare_echo, own_prices, potluck
from benchmarks.rounds import Key, Pace, process_of_redis, rounds, running
from benchmarks.synthetic_repo import Store, SyntheticService, write_repo
from benchmarks.traffic import Request, post_request

BASE_STORE = Store("base", features=100, views=1)
BASE = SyntheticService("base_service", BASE_STORE, trees=200)
GROWING: Mapping[str, Mapping[int, SyntheticService]] = {
    "features": {
        10: SyntheticService("features_10", Store("narrow", 10, 1), BASE.trees),
        100: BASE,
        1000: SyntheticService("features_1000", Store("wide", 1000, 1), BASE.trees),
    },
    "trees": {
        100: SyntheticService("trees_100", BASE_STORE, 100),
        200: BASE,
        1000: SyntheticService("trees_1000", BASE_STORE, 1000),
        5000: SyntheticService("trees_5000", BASE_STORE, 5000),
    },
    "views": {
        1: BASE,
        5: SyntheticService("views_5", Store("five", 100, 5), BASE.trees),
        20: SyntheticService("views_20", Store("twenty", 100, 20), BASE.trees),
    },
}
ROWS = (1, 10, 100, 1000)
SERVICES = tuple(
    {
        service.name: service for services in GROWING.values() for service in services.values()
    }.values()
)
REQUESTS = 200

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


@dataclass(frozen=True)
class GrowthPoint:
    """Where on which axis."""

    axis: str
    value: int
    service: SyntheticService
    rows: int = 1

    @property
    def case(self) -> str:
        """Points that ask the same are measured once."""
        return f"{self.service.name} x {self.rows}"


POINTS = (
    *(
        GrowthPoint(axis, value, service)
        for axis, services in GROWING.items()
        for value, service in services.items()
    ),
    *(GrowthPoint("rows", rows, BASE, rows) for rows in ROWS),
)

AXES = {axis: [point for point in POINTS if point.axis == axis] for axis in (*GROWING, "rows")}
BASE_CASE = GrowthPoint("rows", 1, BASE).case


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
        print(f"training {service.name} ...", file=sys.stderr, flush=True)
        train(home, service.name, {**HOUSE_MODEL, "num_iterations": service.trees})
        grown = (champion(home, service.name).folder / "model.txt").read_text().count("\nTree=")
        if grown != service.trees:
            raise SystemExit(
                f"{service.name} has {grown} trees, not {service.trees}; take more --entities"
            )


def measure_growth(home: Home, entities: int, pace: Pace) -> dict[Key, list[LoadRun]]:
    traffic = {point.case: list(requests_for(point, entities)) for point in POINTS}
    with running(
        home, [potluck(home.settings.repo, traffic), bare_echo({BASE_CASE: traffic[BASE_CASE]})]
    ) as up:
        for requests in traffic.values():
            numbers = own_prices(answer(up[0].server.port, requests[0]))
            assert all(math.isfinite(number) for number in numbers)
        return rounds(up, list(traffic), process_of_redis(home.settings.online_store_url), pace)


def requests_for(point: GrowthPoint, entities: int) -> Iterator[Request]:
    """Entities in turn, each with a number of its own."""
    path, key = f"/predict/{point.service.name}", point.service.store.key
    for number in range(REQUESTS):
        ids = [(number * point.rows + row) % entities + 1 for row in range(point.rows)]
        records = [{key: entity, "x": math.sin(entity + number)} for entity in ids]
        single = point.rows == 1
        yield (
            post_request(path, records[0])
            if single
            else post_request(f"{path}/batch", {"dataframe_records": records})
        )


def report_growth(
    surroundings: Mapping[str, Any],
    data: Mapping[str, Any],
    runs: Mapping[Key, Sequence[LoadRun]],
    keep: bool,
) -> None:
    figures = rival_figures(runs)
    notes = [
        *NOTES,
        *(
            f"{name}, {case} x {count}: FAILED: {why}"
            for (case, name, count), why in failures_of(runs).items()
        ),
    ]
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
    print(table(head, [cells for point in POINTS if (cells := cost_row(point, figures))]))
    print("\n" + "\n".join(notes))
    if keep:
        kept = {
            "growth": costs_by_axis(figures),
            "per_unit_cpu_us": slopes(figures),
            "cases": figures_by_case(figures, runs),
        }
        print(
            "\nwrote "
            f"{write_result('growth', surroundings, data, kept, (), notes).relative_to(PROJECT)}"
        )


def cost_row(point: GrowthPoint, figures: Figures) -> tuple[str, ...] | None:
    found, base = cost(point, figures), cost(GrowthPoint("rows", 1, BASE), figures)
    if found is None or base is None:
        return None
    cells = [f"{found[name]:,.3f}" for name in ("p50_ms", "p99_ms")]
    rates = [f"{found[name]:,.0f}" for name in ("per_second", "rows_per_second")]
    return (
        point.axis,
        str(point.value),
        *cells,
        *rates,
        f"{found['cpu_us']:,.1f}",
        f"{found['cpu_us'] / base['cpu_us']:.2f}",
    )


def cost(point: GrowthPoint, figures: Figures) -> dict[str, float] | None:
    """Of one request at this point: with one connection its latency, with many its rate and
    processor time."""
    one, many = (figures.get((point.case, POTLUCK, connections)) for connections in (ONE, MANY))
    if one is None or many is None:
        return None
    rates = {"per_second": many.per_second, "rows_per_second": many.per_second * point.rows}
    return {
        "p50_ms": one.p50_ms,
        "p99_ms": one.p99_ms,
        **rates,
        "cpu_us": 1e6 * many.server_cpu / many.per_second,
    }


def costs_by_axis(figures: Figures) -> dict[str, dict[int, Any]]:
    """Axis -> value -> cost."""
    return {
        axis: {point.value: cost(point, figures) for point in points}
        for axis, points in AXES.items()
    }


def slopes(figures: Figures) -> dict[str, float]:
    """What one more of each costs: between the ends of its axis, in microseconds of processor
    time."""
    found = {}
    for axis, points in AXES.items():
        first, last = cost(points[0], figures), cost(points[-1], figures)
        if first and last:
            found[axis] = (last["cpu_us"] - first["cpu_us"]) / (points[-1].value - points[0].value)
    return found


if __name__ == "__main__":
    main()
