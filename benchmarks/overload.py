"""Good answers of one worker at full load, and with four times as many callers as it works for at
once.

    python -m benchmarks.overload [--in-flight 32] [--windows 5] [--seconds 2] [--pause 0] [--case
    hybrid|realtime]

At full load there are as many callers as `POTLUCK_MAX_IN_FLIGHT`, each of whom asks again when it
is answered. Then there are four times as many; who is refused asks again after a pause, by default
at once, which is harder than what `Retry-After` asks for. Windows of both kinds take turns; what is
printed are medians.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from statistics import median

import click

from benchmarks.callers import CallersJob, Told
from benchmarks.contenders import champion
from benchmarks.cores import for_one_worker
from benchmarks.home import Data, Home, fresh_home, lay_down, program, stop_like_ctrl_c
from benchmarks.machine import PROJECT, table
from benchmarks.processes import free_port, started
from benchmarks.traffic import HYBRID, REALTIME, population, product_traffic

SERVICES = {HYBRID: "house_price_hybrid", REALTIME: "house_price_realtime"}
TIMES = 4
WARM_UP = 0.5
GOAL_SHARE, GOAL_MS = 0.85, 10.0


@click.command()
@click.option(
    "--in-flight", default=32, show_default=True, help="Requests that the worker works on at once."
)
@click.option(
    "--windows", type=click.IntRange(1, 50), default=5, show_default=True, help="Of each kind."
)
@click.option(
    "--seconds", type=click.FloatRange(0.1, 30), default=2.0, show_default=True, help="Of a window."
)
@click.option(
    "--pause",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Before a second attempt.",
)
@click.option("--case", type=click.Choice([HYBRID, REALTIME]), default=HYBRID, show_default=True)
@click.option("--rows", default=1460, show_default=True, help="Synthetic houses.")
def main(in_flight: int, windows: int, seconds: float, pause: float, case: str, rows: int) -> None:
    """Measure both loads in turn, and compare."""
    stop_like_ctrl_c()
    with fresh_home(PROJECT / "feature_repo") as home:
        lay_down(home, Data(None, rows, 0), list(SERVICES.values()))
        hybrid = champion(home, SERVICES[HYBRID]).contract
        realtime = champion(home, SERVICES[REALTIME]).contract
        traffic = product_traffic(hybrid, realtime, population(home, hybrid))
        requests = home.settings.home / "requests.json"
        requests.write_text(json.dumps(traffic[case]))
        job = CallersJob(
            requests=str(requests),
            port=free_port(),
            callers=in_flight,
            warm_up=WARM_UP,
            seconds=seconds,
            pause=pause,
        )
        full, over = measure_overload(home, job, windows)
    print(overload_report(full, over))


def measure_overload(home: Home, job: CallersJob, windows: int) -> tuple[list[Told], list[Told]]:
    """Start a server that works for as many callers as the job has, and answer what each window
    told: those at full load, and those above it."""
    environment = {**home.environment, "POTLUCK_MAX_IN_FLIGHT": str(job.callers)}
    command = [program("potluck"), "serve", "--port", str(job.port)]
    log = home.settings.home / "overload.log"
    more = replace(job, callers=TIMES * job.callers)
    full, over = [], []
    with started(command, job.port, environment, log, for_one_worker().server) as server:
        server.wait_ready("/readyz")
        for _ in range(windows):
            full.append(call(job))
            over.append(call(more))
    return full, over


def call(job: CallersJob) -> Told:
    """One window, by a process of its own on a core of its own."""
    command = [sys.executable, "-m", "benchmarks.callers"]
    pinned = partial(os.sched_setaffinity, 0, for_one_worker().load)
    done = subprocess.run(
        command,
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        cwd=PROJECT,
        preexec_fn=pinned,
    )
    if done.returncode != 0:
        raise SystemExit(f"the callers failed:\n{done.stderr[-2000:]}")
    return Told(**json.loads(done.stdout))


def overload_report(full: Sequence[Told], over: Sequence[Told]) -> str:
    """Both loads, the share that is left, and the goals."""
    head = (
        "callers",
        "good/s",
        "good p99 ms",
        "refused/s",
        "refused p50 ms",
        "refused p99 ms",
        "load's core",
    )
    rows = [
        load_cells("as many as are worked for", full),
        load_cells(f"{TIMES} times as many", over),
    ]
    share = middle(over, "good_per_second") / middle(full, "good_per_second")
    late = middle(over, "refused_p99_ms")
    failures = sum(told.failures for told in [*full, *over])
    lines = [
        table(head, rows),
        f"good answers that are left: {share:.2f} (goal: {GOAL_SHARE})",
        f"p99 of refusals: {late:.1f} ms (goal: {GOAL_MS:g} ms)",
        f"other answers: {failures}",
    ]
    return "\n".join(lines)


def load_cells(name: str, told: Sequence[Told]) -> tuple[str, ...]:
    return (
        name,
        f"{middle(told, 'good_per_second'):,.0f}",
        f"{middle(told, 'good_p99_ms'):.1f}",
        f"{middle(told, 'refused_per_second'):,.0f}",
        f"{middle(told, 'refused_p50_ms'):.1f}",
        f"{middle(told, 'refused_p99_ms'):.1f}",
        f"{middle(told, 'load_cpu'):.2f}",
    )


def middle(told: Sequence[Told], field: str) -> float:
    """The median of a field over the windows."""
    values: list[float] = [getattr(each, field) for each in told]
    return median(values)


if __name__ == "__main__":
    main()
