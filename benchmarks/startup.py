"""From the start of the process to ready, and what a worker holds in memory, beside bare imports,
Feast and MLflow.

    python -m benchmarks.startup [--repo FOLDER] [--data FILE | --rows N --seed S] [--repeats 5]
    [--slow-repeats 3]

Rounds are interleaved, so that a busy machine is busy for all; the first start of each contender is
not counted.
"""

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.contenders import (
    BARE,
    BARE_IMPORTS,
    Contender,
    champion,
    contenders_for,
)
from benchmarks.home import Data, Home, fresh_home, lay_down, stop_like_ctrl_c
from benchmarks.machine import PROJECT, machine
from benchmarks.processes import Server, free_port, memory_of, started
from benchmarks.progress import print_progress
from benchmarks.startup_report import ContenderMemory, report_startup

HOUSES = PROJECT / "feature_repo"


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
    name = "startup"
    if repo.resolve() != HOUSES:
        name = f"startup_{bundle.contract.project}"
    report_startup(name, surroundings, described, seconds, held)


def measure_starts(
    home: Home, contenders: Sequence[Contender], repeats: int, slow_repeats: int
) -> tuple[dict[str, list[float]], dict[str, ContenderMemory]]:
    """Seconds to ready of each start that counts, and memory after the requests, by contender."""
    bare_imports(home)  # compiles what was never compiled
    held = {}
    for contender in contenders:
        if slow_repeats or not contender.slow:
            _, held[contender.name] = start_and_ask(home, contender)
    held[BARE] = bare_memory(home)
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(max(repeats, slow_repeats)):
        if number < repeats:
            seconds[BARE].append(bare_imports(home))
        for contender in contenders:
            wanted = slow_repeats if contender.slow else repeats
            if contender.timed and number < wanted:
                ready, _ = start_and_ask(home, contender, ask=False)
                seconds[contender.name].append(ready)
    return dict(seconds), held


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
    home: Home, contender: Contender, *, ask: bool = True
) -> tuple[float, ContenderMemory]:
    """Start a server, wait until it is ready, ask it, look at its memory, stop it."""
    print_progress(f"starting {contender.name}")
    port = free_port()
    log = home.settings.home / f"{contender.name.replace(' ', '-')}.log"
    with started(contender.command(port), port, home.environment, log) as server:
        seconds = server.wait_ready(contender.ready_path)
        if ask:
            server.post(contender.post_path, contender.bodies)
        return seconds, memory_held(server, contender)


def memory_held(server: Server, contender: Contender) -> ContenderMemory:
    """A server's memory now; a process that only supervises is no worker."""
    found = server.memory()
    workers = dict(found)
    if contender.supervised:
        workers.pop(server.process.pid, None)
    largest = max(workers.values(), key=lambda memory: memory.peak)
    whole = sum(memory.share for memory in found.values())
    return ContenderMemory(largest, whole, len(found))


if __name__ == "__main__":
    main()
