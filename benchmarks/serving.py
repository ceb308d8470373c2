"""Requests per second and latency of every kind of service, beside bare echoes and peers on the
same rows.

    python -m benchmarks.serving [--data FILE | --rows N --seed S] [--seconds 3] [--repeats 3]
    [--quick] [--mlserver]
                                 [--only NAME]...

Every server is started here and idles while another one is asked. A trial (--quick, --only) is
printed and not kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from benchmarks.agreement import Agreements, agreement_notes, agreements
from benchmarks.chart import draw
from benchmarks.cores import ENOUGH, for_one_worker, for_two_workers
from benchmarks.figures import Figures, failures_of, figures_by_case, rival_figures
from benchmarks.ground import SERVICES, Ground, lay_ground
from benchmarks.home import Data, fresh_home, stop_like_ctrl_c
from benchmarks.load import LoadRun
from benchmarks.machine import PROJECT, goals_table, machine, table, write_result
from benchmarks.rivals import ECHO, MANY, MLSERVER, ONE, Rival, rivals_for
from benchmarks.rounds import Key, Pace, process_of_redis, rounds, running
from benchmarks.traffic import BATCH, CASES, HYBRID, ROWS_IN_BATCH
from benchmarks.verdict import NOTES, SHARED_CORES, serving_goals, two_workers


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
        rivals = chosen(rivals_for(ground, mlserver), only)
        with running(home, rivals) as up:
            agreed = agreements(up, CASES)
            runs = rounds(up, CASES, process_of_redis(home.settings.online_store_url), pace)
        described = {
            **data.described(),
            **about(ground),
            "warm_up": pace.warm_up,
            "seconds": pace.seconds,
        }
    report_serving(
        surroundings,
        {**described, "repeats": pace.repeats},
        rivals,
        agreed,
        runs,
        keep=not (quick or only),
    )


def pinned() -> dict[str, Any]:
    return {"one worker": for_one_worker().told(), "two workers": for_two_workers().told()}


def about(ground: Ground) -> dict[str, Any]:
    contract = ground.bundles[HYBRID].contract
    assert contract.lineage is not None
    width = {"looked_up": len(contract.online), "columns": len(contract.columns)}
    return {
        "data_hash": contract.lineage.data_hash,
        "services": SERVICES,
        "entities": len(ground.records),
        **width,
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
    surroundings: Mapping[str, Any],
    data: Mapping[str, Any],
    rivals: Sequence[Rival],
    agreed: Agreements,
    runs: Mapping[Key, Sequence[LoadRun]],
    keep: bool,
) -> None:
    figures = rival_figures(runs)
    goals = serving_goals(figures)
    shared = SHARED_CORES if surroundings["cores"] < ENOUGH else ()
    notes = [*NOTES, *shared, *agreement_notes(agreed), *warnings(figures, runs)]
    for case in sorted({case for case, _, _ in figures}, key=CASES.index):
        print(case_table(case, rivals, figures) + "\n")
    print("\n".join(notes) + "\n\n" + goals_table(goals))
    labels = {
        rival.name: {"label": rival.label, "same_model": rival.same_model} for rival in rivals
    }
    agreement = {
        case: {name: asdict(found) for name, found in by.items()} for case, by in agreed.items()
    }
    kept = {
        "servers": labels,
        "cases": figures_by_case(figures, runs),
        "two_workers": two_workers(figures),
        "agreement": agreement,
    }
    if keep:
        path = write_result("serving", surroundings, data, kept, goals, notes)
        print(f"\nwrote {path.relative_to(PROJECT)} and {draw(path).relative_to(PROJECT)}")


def warnings(figures: Figures, runs: Mapping[Key, Sequence[LoadRun]]) -> list[str]:
    """What takes a figure's worth away."""
    full = [key for key, figure in figures.items() if figure.load_was_the_limit]
    idle = [key for key, figure in figures.items() if key[2] == MANY and figure.nobody_was_busy]
    found = [(key, f"FAILED: {why}") for key, why in failures_of(runs).items()]
    found += [(key, "the load's core was full, so the server may be faster") for key in full]
    found += [
        (key, "no core was full: it waited for another, or the machine was busy elsewhere")
        for key in idle
    ]
    return [f"{name}, {case} x {count}: {why}" for (case, name, count), why in found]


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
    rows = [cells for rival in rivals if (cells := case_row(case, rival, figures))]
    return table(head, rows)


def case_row(case: str, rival: Rival, figures: Figures) -> tuple[str, ...] | None:
    many, one, echo = (
        figures.get(key)
        for key in ((case, rival.name, MANY), (case, rival.name, ONE), (case, ECHO, MANY))
    )
    if many is None:
        return None
    rows = ROWS_IN_BATCH if case == BATCH else 1
    rates = [
        f"{rows * rate:,.0f}"
        for rate in (many.per_second, many.least_per_second, many.most_per_second)
    ]
    ratio = f"{many.per_second / echo.per_second:.4f}" if echo else "-"
    latencies = [f"{ms:.3f}" for ms in (many.p50_ms, many.p99_ms)]
    alone = [f"{ms:.3f}" for ms in (one.p50_ms, one.p99_ms)] if one else ["-", "-"]
    return (
        rival.label,
        *rates,
        ratio,
        *latencies,
        *alone,
        f"{many.server_cpu:.2f}",
        f"{many.load_cpu:.2f}",
    )


if __name__ == "__main__":
    main()
