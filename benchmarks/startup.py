"""From the start of the process to ready, and what a worker holds in memory, beside bare imports,
Feast and MLflow.

    python -m benchmarks.startup [--repo FOLDER] [--data FILE | --rows N --seed S] [--repeats 5]
    [--slow-repeats 3]

Rounds are interleaved, so that a busy machine is busy for all; the first start of each contender is
not counted.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.contenders import (
    BARE,
    BARE_IMPORTS,
    FEAST,
    NOTES,
    POTLUCK,
    TWO_WORKERS,
    Contender,
    champion,
    contenders_for,
)
from benchmarks.home import Data, Home, fresh_home, lay_down, stop_like_ctrl_c
from benchmarks.machine import PROJECT, Goal, goals_table, machine, table, write_result
from benchmarks.processes import Memory, Server, free_port, memory_of, started

HOUSES = PROJECT / "feature_repo"
MOST_TIMES_BARE, MOST_TIMES_FEAST, MOST_MB = 1.3, 0.15, 120.0


@dataclass(frozen=True)
class ContenderMemory:
    """Memory of a contender after its requests, in MB."""

    worker: Memory
    whole_server: float
    """All its processes, shared pages counted once."""
    processes: int


@click.command()
@click.option("--repo", type=click.Path(path_type=Path), default=HOUSES, help="Feast feature repo.")
@click.option(
    "--service", "services", multiple=True, default=("house_price_realtime", "house_price_hybrid")
)
@click.option(
    "--data",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File to ingest.",
)
@click.option("--rows", default=1460, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--repeats", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option(
    "--slow-repeats",
    type=click.IntRange(0, 50),
    default=3,
    show_default=True,
    help="Of Feast and MLflow.",
)
def main(
    repo: Path,
    services: tuple[str, ...],
    file: Path | None,
    rows: int,
    seed: int,
    repeats: int,
    slow_repeats: int,
) -> None:
    """Measure; the last --service is the one that is asked."""
    stop_like_ctrl_c()
    surroundings = machine()
    data = Data(file, rows, seed)
    with fresh_home(repo) as home:
        lay_down(home, data, services)
        bundle = champion(home, services[-1])
        contenders = contenders_for(home, bundle)
        seconds, held = measure_starts(home, contenders, repeats, slow_repeats)
    assert bundle.contract.lineage is not None
    described = {
        **data.described(),
        "services": services,
        "data_hash": bundle.contract.lineage.data_hash,
    }
    name = "startup" if repo.resolve() == HOUSES else f"startup_{bundle.contract.project}"
    report_startup(name, surroundings, described, seconds, held)


def measure_starts(
    home: Home, contenders: Sequence[Contender], repeats: int, slow_repeats: int
) -> tuple[dict[str, list[float]], dict[str, ContenderMemory]]:
    """Seconds to ready of each start that counts, and memory after the requests, by contender."""
    seconds: dict[str, list[float]] = {BARE: [], **{c.name: [] for c in contenders if c.timed}}
    bare_imports(home)  # compiles what was never compiled
    held = {c.name: start_and_ask(home, c)[1] for c in contenders if not c.slow or slow_repeats}
    held[BARE] = bare_memory(home)
    for number in range(max(repeats, slow_repeats)):
        if number < repeats:
            seconds[BARE].append(bare_imports(home))
        for contender in contenders:
            if contender.timed and number < (slow_repeats if contender.slow else repeats):
                seconds[contender.name].append(start_and_ask(home, contender, ask=False)[0])
    return {name: runs for name, runs in seconds.items() if runs}, held


def bare_imports(home: Home) -> float:
    """Process time of the imports alone."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE_IMPORTS], env=home.environment, check=True)
    return time.perf_counter() - begin


def bare_memory(home: Home) -> ContenderMemory:
    """What a process holds after the imports alone."""
    command = [sys.executable, "-c", f"{BARE_IMPORTS}; print(); input()"]
    with subprocess.Popen(
        command, env=home.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        memory = memory_of(process.pid)
        process.communicate(b"\n")
    return ContenderMemory(memory, memory.share, 1)


def start_and_ask(
    home: Home, contender: Contender, ask: bool = True
) -> tuple[float, ContenderMemory]:
    """Start a server, wait until it is ready, ask it, look at its memory, stop it."""
    print(f"starting {contender.name} ...", file=sys.stderr, flush=True)
    port = free_port()
    log = home.settings.home / f"{contender.name.replace(' ', '-')}.log"
    with started(contender.command(port), port, home.environment, log) as server:
        seconds = server.wait_ready(contender.ready_path)
        if ask:
            server.post(contender.post_path, contender.bodies)
        return seconds, memory_held(server, contender)


def memory_held(server: Server, contender: Contender) -> ContenderMemory:
    found = server.memory()
    workers = [
        memory
        for pid, memory in found.items()
        if not (contender.supervised and pid == server.process.pid)
    ]
    largest = max(workers, key=lambda memory: memory.peak)
    return ContenderMemory(largest, sum(memory.share for memory in found.values()), len(found))


def report_startup(
    name: str,
    surroundings: Mapping[str, Any],
    data: Mapping[str, Any],
    seconds: Mapping[str, Sequence[float]],
    held: Mapping[str, ContenderMemory],
) -> None:
    medians = {name: statistics.median(runs) for name, runs in seconds.items()}
    goals = startup_goals(medians, held)
    print(
        table(
            ("start", "median s", "min", "max", "× bare", "× potluck", "n"),
            seconds_rows(seconds, medians),
        )
    )
    print()
    print(
        table(
            ("memory", "worker peak MB", "settled", "whole server PSS", "processes"),
            memory_rows(held),
        )
    )
    print()
    print("\n".join(NOTES))
    print()
    print(goals_table(goals))
    figures = {
        "seconds_to_ready": start_figures(seconds, medians),
        "memory_mb": {name: asdict(h) for name, h in held.items()},
    }
    print(
        "\nwrote "
        f"{write_result(name, surroundings, data, figures, goals, NOTES).relative_to(PROJECT)}"
    )


def startup_goals(medians: Mapping[str, float], held: Mapping[str, ContenderMemory]) -> list[Goal]:
    ratio = medians[POTLUCK] / medians[BARE]
    peaks = {name: held[name].worker.peak for name in (POTLUCK, TWO_WORKERS)}
    feast = [round(medians[POTLUCK] / medians[FEAST], 3)] if FEAST in medians else []
    return [
        Goal("ready, as a multiple of bare imports", round(ratio, 3), "<=", MOST_TIMES_BARE),
        *(
            Goal("ready, as a multiple of feast serve", times, "<=", MOST_TIMES_FEAST)
            for times in feast
        ),
        *(
            Goal(f"peak MB of a worker, {name}", round(peak, 1), "<=", MOST_MB)
            for name, peak in peaks.items()
        ),
    ]


def start_figures(
    seconds: Mapping[str, Sequence[float]], medians: Mapping[str, float]
) -> dict[str, Any]:
    return {
        name: {
            "median": medians[name],
            "runs": list(runs),
            "times_bare": medians[name] / medians[BARE],
            "times_potluck": medians[name] / medians[POTLUCK],
        }
        for name, runs in seconds.items()
    }


def seconds_rows(
    seconds: Mapping[str, Sequence[float]], medians: Mapping[str, float]
) -> list[tuple[str, ...]]:
    bare, ours = medians[BARE], medians[POTLUCK]
    numbers = {
        name: (
            f"{medians[name]:.2f}",
            f"{min(runs):.2f}",
            f"{max(runs):.2f}",
            f"{medians[name] / bare:.2f}",
        )
        for name, runs in seconds.items()
    }
    return [
        (name, *cells, f"{medians[name] / ours:.2f}", str(len(seconds[name])))
        for name, cells in numbers.items()
    ]


def memory_rows(held: Mapping[str, ContenderMemory]) -> list[tuple[str, ...]]:
    return [
        (
            name,
            f"{h.worker.peak:.0f}",
            f"{h.worker.settled:.0f}",
            f"{h.whole_server:.0f}",
            str(h.processes),
        )
        for name, h in held.items()
    ]


if __name__ == "__main__":
    main()
