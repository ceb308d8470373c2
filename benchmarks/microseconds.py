"""Where each microsecond of a hybrid request goes, stage by stage, in a server under load.

    python -m benchmarks.microseconds [--data FILE | --rows N --seed S] [--seconds 5] [--connections
    16]

The server's own functions are timed from outside, one call of a clock before and after each; what
that costs is in the stages around them. What no stage covers is uvicorn, the event loop and the
kernel.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.contenders import champion
from benchmarks.cores import for_one_worker, pin
from benchmarks.home import Data, Home, fresh_home, lay_down, stop_like_ctrl_c
from benchmarks.load import LoadJob, LoadRun
from benchmarks.machine import (
    PROJECT,
    Facts,
    machine,
    print_notes,
    print_written,
    table,
    write_result,
)
from benchmarks.processes import free_port, started
from benchmarks.rounds import loaded, process_of_redis
from benchmarks.traffic import HYBRID, population, product_traffic

SERVICES = ("house_price_realtime", "house_price_hybrid")
NOTES = (
    (
        "Microseconds of the server's wall clock, divided by the requests answered; `of it` is "
        "part of the stage above."
    ),
    (
        "other: uvicorn's parser and connections, the event loop, system calls. idle: the server's "
        "core had nothing to do,"
    ),
    "  as every connection waited for Redis or for the load.",
)


@dataclass(frozen=True)
class TimedStage:
    """A function of the server."""

    label: str
    place: str
    """module:Class.function"""
    depth: int = 0


STAGES = (
    TimedStage("request head: request id, route", "serving.http.wire:ShortWayProtocol.hot_cycle"),
    TimedStage("body to batch", "serving.http.cycle:HotCycle.begin"),
    TimedStage("validate", "serving.services.schema:RequestSchema.read", 1),
    TimedStage("Redis: keys and commands", "serving.services.entities:EntityReader.calls"),
    TimedStage("Redis: write", "serving.online.redis_pipeline:Pipeline.ask"),
    TimedStage("Redis: read and parse", "serving.online.redis_pipeline:Pipeline.data_received"),
    TimedStage("join: freshness, overrides", "serving.services.entities:EntityReader.known"),
    TimedStage("plan", "potluck.scoring.plan:Plan.score"),
    TimedStage("inputs and on-demand functions", "potluck.scoring.plan:Plan.computed_rows", 1),
    TimedStage("cells", "potluck.scoring.plan:Plan.cells_of", 1),
    TimedStage("trees", "potluck.scoring.forest:Forest.raw_scores_of_cells", 1),
    TimedStage("answer: JSON, head, write, metrics", "serving.http.cycle:HotCycle.answered"),
)


@click.command()
@click.option(
    "--data",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Kaggle's train.csv",
)
@click.option("--rows", default=1460, show_default=True, help="Synthetic houses, without --data.")
@click.option("--seed", default=0, show_default=True)
@click.option("--seconds", type=click.FloatRange(1), default=5.0, show_default=True)
@click.option("--connections", type=click.IntRange(1), default=16, show_default=True)
def main(file: Path | None, rows: int, seed: int, seconds: float, connections: int) -> None:
    """Load a server whose stages are timed, and tell where the time went."""
    stop_like_ctrl_c()
    surroundings = machine()
    data = Data(file, rows, seed)
    with fresh_home(PROJECT / "feature_repo") as home:
        lay_down(home, data, SERVICES)
        realtime, hybrid = (champion(home, service).contract for service in SERVICES)
        traffic = product_traffic(hybrid, realtime, population(home, hybrid))
        requests = home.settings.home / "requests.json"
        requests.write_text(json.dumps(traffic[HYBRID]))
        spent = home.settings.home / "spent.json"
        run = load_timed_server(home, requests, spent, seconds, connections)
        if run.failures:
            raise SystemExit(f"the server failed: {run.first_failure}")
        stages = stages_of(spent)
    report_microseconds(surroundings, data, connections, run, stages)


def load_timed_server(
    home: Home, requests: Path, spent: Path, seconds: float, connections: int
) -> LoadRun:
    """Load a server with clocks in it; when it ends, it writes to `spent` what they showed."""
    cores = for_one_worker()
    port = free_port()
    places = [stage.place for stage in STAGES]
    command = [
        sys.executable,
        "-m",
        "benchmarks.timed_server",
        str(port),
        str(spent),
        *places,
    ]
    log = home.settings.home / "server.log"
    with started(command, port, home.environment, log, cores.server) as server:
        server.wait_ready("/readyz")
        pin([process_of_redis(home.settings.online_store_url)], cores.redis)
        job = LoadJob(
            requests=str(requests),
            port=port,
            connections=connections,
            warm_up=1.0,
            seconds=seconds,
            watched={"server": [server.process.pid]},
        )
        return loaded(job, cores.load)


def stages_of(spent: Path) -> dict[str, float]:
    """Place -> microseconds a request, over the server's whole life."""
    told = json.loads(spent.read_bytes())
    requests = told[STAGES[-1].place]["calls"]
    stages = {}
    for place, entry in told.items():
        stages[place] = 1e6 * entry["seconds"] / requests
    return stages


def report_microseconds(
    surroundings: Facts,
    data: Data,
    connections: int,
    run: LoadRun,
    spent: Mapping[str, float],
) -> None:
    """Print the stages, and write them to the result file."""
    stages = microseconds_of(run, spent)
    whole = stages["one request"]
    rows = []
    for label, us in stages.items():
        share = us / whole
        rows.append((label, f"{us:.1f}", f"{share:.0%}"))
    print(table(("stage", "µs", "share"), rows))
    print_notes(NOTES)
    figures = {"connections": connections, "stages_us": stages}
    print_written(write_result("microseconds", surroundings, data.described(), figures, (), NOTES))


def microseconds_of(run: LoadRun, spent: Mapping[str, float]) -> dict[str, float]:
    """Label of each stage, of what no stage covers, and of the whole -> microseconds a request."""
    whole = 1e6 / run.per_second
    idle = whole * max(0.0, 1 - run.cpu["server"])
    covered = 0.0
    stages = {}
    for stage in STAGES:
        us = spent[stage.place]
        label = "of it: " * stage.depth + stage.label
        stages[label] = us
        if stage.depth == 0:  # the others are part of one that is counted
            covered += us
    return {
        **stages,
        "other": whole - idle - covered,
        "idle": idle,
        "one request": whole,
    }


if __name__ == "__main__":
    main()
