"""Requests per second and latency of every kind of service, beside bare echoes and peers on the
same rows.

    python -m benchmarks.serving [--data FILE | --rows N --seed S] [--seconds 3] [--repeats 3]
    [--quick] [--mlserver]
                                 [--only NAME]...

Every server is started here and idles while another one is asked. A trial (--quick, --only) is
printed and not kept.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from benchmarks.agreement import Agreements, agreement_notes, agreements
from benchmarks.all_rivals import rivals_for
from benchmarks.chart import draw
from benchmarks.cores import ENOUGH, for_one_worker, for_two_workers
from benchmarks.figures import Figure, Figures, failures_of, figures_by_case, rival_figures
from benchmarks.ground import SERVICES, Ground, lay_ground
from benchmarks.home import Data, fresh_home, stop_like_ctrl_c
from benchmarks.machine import PROJECT, Facts, goals_table, machine, table, write_result
from benchmarks.rivals import ECHO, MANY, MLSERVER, ONE, Rival
from benchmarks.rounds import Key, Pace, Runs, process_of_redis, rounds, running
from benchmarks.traffic import BATCH, CASES, HYBRID, ROWS_IN_BATCH
from benchmarks.verdict import NOTES, SHARED_CORES, serving_goals, two_workers

LOAD_WAS_FULL = "the load's core was full, so the server may be faster"
NOBODY_WAS_BUSY = "no core was full: it waited for another, or the machine was busy elsewhere"


@click.command()
@click.option(
    "--data",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Kaggle's train.csv",
)
@click.option("--rows", default=1460, show_default=True, help="Synthetic houses, without --data.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1),
    default=3.0,
    show_default=True,
    help="Of one measurement.",
)
@click.option("--repeats", type=click.IntRange(1, 50), default=3, show_default=True)
@click.option("--quick", is_flag=True, help="Half a second, once, nothing kept: whether it works.")
@click.option(
    "--mlserver",
    is_flag=True,
    help="Also MLServer; the first time it is installed outside the project.",
)
@click.option("--only", multiple=True, help="A server by its short name; nothing is kept.")
def main(
    file: Path | None,
    rows: int,
    seed: int,
    seconds: float,
    repeats: int,
    quick: bool,
    mlserver: bool,
    only: Sequence[str],
) -> None:
    """Measure everybody in turn, compare, draw."""
    stop_like_ctrl_c()
    surroundings = {**machine(), "pinned": pinned()}
    pace = Pace(0.5, 0.5, 1) if quick else Pace(1.0, seconds, repeats)
    data = Data(file, rows, seed)
    with fresh_home(PROJECT / "feature_repo") as home:
        ground = lay_ground(home, data)
        rivals = chosen(rivals_for(ground, with_mlserver=mlserver), only)
        with running(home, rivals) as up:
            agreed = agreements(up, CASES)
            runs = rounds(up, CASES, process_of_redis(home.settings.online_store_url), pace)
        described = {**data.described(), **about(ground), **asdict(pace)}
    trial = quick or bool(only)
    report_serving(surroundings, described, rivals, agreed, runs, keep=not trial)


def pinned() -> dict[str, Any]:
    return {"one worker": for_one_worker().told(), "two workers": for_two_workers().told()}


def about(ground: Ground) -> dict[str, Any]:
    contract = ground.bundles[HYBRID].contract
    assert contract.lineage is not None
    return {
        "data_hash": contract.lineage.data_hash,
        "services": SERVICES,
        "entities": len(ground.records),
        "looked_up": len(contract.online),
        "columns": len(contract.columns),
    }


def chosen(rivals: Sequence[Rival], only: Sequence[str]) -> list[Rival]:
    names = [rival.name for rival in rivals]
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise click.UsageError(
            f"no server {unknown[0]!r} here; there are {', '.join(names)}; {MLSERVER} with "
            "--mlserver"
        )
    return [rival for rival in rivals if not only or rival.name in only]


def report_serving(
    surroundings: Facts,
    data: Facts,
    rivals: Sequence[Rival],
    agreed: Agreements,
    runs: Runs,
    *,
    keep: bool,
) -> None:
    """Print tables, notes and goals; write the result file and draw it, unless it is a trial."""
    figures = rival_figures(runs)
    goals = serving_goals(figures)
    shared = SHARED_CORES if surroundings["cores"] < ENOUGH else ()
    notes = [*NOTES, *shared, *agreement_notes(agreed), *warnings(figures, runs)]
    measured = {case for case, _, _ in figures}
    for case in sorted(measured, key=CASES.index):
        print(case_table(case, rivals, figures) + "\n")
    print("\n".join(notes) + "\n\n" + goals_table(goals))
    if keep:
        kept = {
            "servers": described_rivals(rivals),
            "cases": figures_by_case(figures, runs),
            "two_workers": two_workers(figures),
            "agreement": described_agreements(agreed),
        }
        path = write_result("serving", surroundings, data, kept, goals, notes)
        print(f"\nwrote {path.relative_to(PROJECT)} and {draw(path).relative_to(PROJECT)}")


def described_rivals(rivals: Sequence[Rival]) -> dict[str, Any]:
    """Name -> what the chart says of it."""
    found = {}
    for rival in rivals:
        found[rival.name] = {"label": rival.label, "same_model": rival.same_model}
    return found


def described_agreements(agreed: Agreements) -> dict[str, Any]:
    """Case -> rival -> how its answers compare with Potluck's."""
    described = {}
    for case, by_rival in agreed.items():
        described[case] = {name: asdict(found) for name, found in by_rival.items()}
    return described


def warnings(figures: Figures, runs: Runs) -> list[str]:
    """What takes a figure's worth away: failures first, then full loads, then idle machines."""
    failed, full, idle = [], [], []
    for key, why in failures_of(runs).items():
        told = f"FAILED: {why}"
        failed.append(warning(key, told))
    for key, figure in figures.items():
        _, _, connections = key
        if figure.load_was_the_limit:
            full.append(warning(key, LOAD_WAS_FULL))
        if connections == MANY and figure.nobody_was_busy:
            idle.append(warning(key, NOBODY_WAS_BUSY))
    return failed + full + idle


def warning(key: Key, why: str) -> str:
    case, name, connections = key
    return f"{name}, {case} x {connections}: {why}"


def case_table(case: str, rivals: Sequence[Rival], figures: Figures) -> str:
    """A row for each server that was asked: rates with many connections, latencies with many and
    with one."""
    unit = "rows/s" if case == BATCH else "answers/s"
    head = (
        case,
        f"{unit} x {MANY}",
        "least",
        "most",
        "÷ echo",
        "p50 ms",
        "p99",
        "p50 x 1",
        "p99 x 1",
        "server",
        "load",
    )
    rows = []
    for rival in rivals:
        cells = case_row(case, rival, figures)
        if cells:
            rows.append(cells)
    return table(head, rows)


def case_row(case: str, rival: Rival, figures: Figures) -> tuple[str, ...] | None:
    many = figures.get((case, rival.name, MANY))
    echo = figures.get((case, ECHO, MANY))
    if many is None:
        return None
    rows = ROWS_IN_BATCH if case == BATCH else 1
    ratio = "-"
    if echo:
        ratio = f"{many.per_second / echo.per_second:.4f}"
    return (
        rival.label,
        f"{rows * many.per_second:,.0f}",
        f"{rows * many.least_per_second:,.0f}",
        f"{rows * many.most_per_second:,.0f}",
        ratio,
        *latencies(many),
        *latencies(figures.get((case, rival.name, ONE))),
        f"{many.server_cpu:.2f}",
        f"{many.load_cpu:.2f}",
    )


def latencies(figure: Figure | None) -> tuple[str, str]:
    """p50 and p99 in ms, where they were measured."""
    if figure is None:
        return "-", "-"
    return f"{figure.p50_ms:.3f}", f"{figure.p99_ms:.3f}"


if __name__ == "__main__":
    main()
