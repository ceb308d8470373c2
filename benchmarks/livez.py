"""How long `/livez` waits while a body of at most 8 MiB is worked on, whatever the body holds.

    python -m benchmarks.livez [--home FOLDER] [--only TEXT] [--repeats 2] [--seconds 60]

One worker. While each hostile body is worked on, another connection asks `/livez` every 5 ms. The
longest wait of a body is the least of its repeats' longest: what the machine does besides can only
lengthen it. Beside each wait stands the processor time that the server took meanwhile: that much of
it is its own. On a machine that is busy with other things as well, this alone decides.
"""

import contextlib
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import NamedTuple

import click

from benchmarks.delivery import OTHERWISE, Delivery, send_at_once
from benchmarks.fuzz.calls import LiveService, services_of
from benchmarks.fuzz.ground import IDS, filled_home, potluck_server
from benchmarks.home import stop_like_ctrl_c
from benchmarks.hostile import Hostile, for_batch, for_lookups, for_predict
from benchmarks.machine import (
    Facts,
    Goal,
    exit_code,
    goals_table,
    machine,
    print_written,
    table,
    write_result,
)
from benchmarks.prober import EVERY_SECONDS, Prober
from benchmarks.processes import Server

MOST_MS = 100.0
QUIET_MS = 5.0
"""What /livez waits at most on a machine that does nothing else."""
QUIET_SECONDS = 1.0
SHOWN = 25


@dataclass(frozen=True)
class Waited:
    """What one body came to."""

    name: str
    longest_ms: float
    """The least of the repeats' longest waits of /livez."""
    work_ms: float
    """Most processor time of the server during one wait; the least of the repeats' too."""
    status: int
    """0 where no answer came in time."""
    seconds: float
    """From its first byte to its answer."""


class Sending(NamedTuple):
    """One sending of a body; the times of /livez in ms."""

    status: int
    seconds: float
    wait: float
    work: float


def bodies(services: Sequence[LiveService]) -> Iterator[Hostile]:
    """All bodies for all services of a server."""
    for service in services:
        if service.precomputed:
            yield from for_lookups(service.name, service.ids)
            continue
        record = service.record()
        text = text_field(service)
        yield from for_predict(service.name, record, text)
        yield from for_batch(service.name, record, text)


def text_field(service: LiveService) -> str | None:
    """The first field that takes a text."""
    for field in service.fields:
        if field["dtype"] == "string":
            return str(field["name"])
    return None


def ask(server: Server, hostile: Hostile, deliver: Delivery, patience: float) -> Sending:
    """Send one body while /livez is asked."""
    with Prober(server) as prober:
        time.sleep(4 * EVERY_SECONDS)
        begun = time.perf_counter()
        status = status_of(server.port, hostile, deliver, patience)
        seconds = time.perf_counter() - begun
        time.sleep(4 * EVERY_SECONDS)  # what is freed after the answer is work too
    return Sending(status, seconds, *prober.longest)


def status_of(port: int, hostile: Hostile, deliver: Delivery, patience: float) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        with contextlib.suppress(ConnectionError):  # refused while it was still being sent
            deliver(connection, hostile)
        try:
            first = connection.recv(64)
        except OSError:
            return 0
        return int(first[9:12] or 0)


def summarize(runs: Sequence[Sending], name: str) -> Waited:
    """The least of the repeats' waits and work; status and seconds of the last one."""
    wait = min(run.wait for run in runs)
    work = min(run.work for run in runs)
    last = runs[-1]
    line = f"{wait:9.1f} ms, work {work:7.1f} ms  {last.status}  {name}"
    print(line, file=sys.stderr, flush=True)
    return Waited(
        name=name,
        longest_ms=round(wait, 1),
        work_ms=round(work, 1),
        status=last.status,
        seconds=round(last.seconds, 3),
    )


def quiet(server: Server) -> float:
    """The longest wait in ms while nothing else is asked."""
    with Prober(server) as prober:
        time.sleep(QUIET_SECONDS)
    return round(prober.longest[0], 1)


FOLDER = click.Path(exists=True, path_type=Path)


@click.command()
@click.option("--home", type=FOLDER, help="A filled one; else fresh.")
@click.option("--only", default="", help="Bodies whose name holds this text; not kept.")
@click.option("--repeats", type=click.IntRange(1, 20), default=2, show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="Longest wait for an answer.")
def main(home: Path | None, only: str, repeats: int, seconds: float) -> None:
    """Measure; ends with 1 if a body keeps /livez waiting for longer than 100 ms."""
    stop_like_ctrl_c()
    surroundings = machine()
    with filled_home(home) as filled, potluck_server(filled) as server:
        alone = quiet(server)
        found = list(waits(server, only, repeats, seconds))
    sys.exit(report_livez(found, alone, surroundings, keep=not only))


def waits(server: Server, only: str, repeats: int, patience: float) -> Iterator[Waited]:
    """Send each body in each way that is for it, as often as asked for."""
    for hostile in bodies(services_of(server.port, IDS)):
        for name, deliver in deliveries(hostile):
            if only in name:
                runs = [ask(server, hostile, deliver, patience) for _ in range(repeats)]
                yield summarize(runs, name)


def deliveries(hostile: Hostile) -> Iterator[tuple[str, Delivery]]:
    """A name and a way of sending for each: all bodies at once, and some otherwise too."""
    yield hostile.name, send_at_once
    if delivered_otherwise(hostile):
        for way, deliver in OTHERWISE.items():
            yield f"{hostile.name}, {way}", deliver


def delivered_otherwise(hostile: Hostile) -> bool:
    return hostile.name.endswith((": zeros", "good rows after white space", ": unknown keys"))


def report_livez(
    found: Sequence[Waited],
    alone: float,
    surroundings: Facts,
    *,
    keep: bool,
) -> int:
    """Print and keep the waits; answers the exit code."""
    worst = sorted(found, key=lambda waited: -waited.work_ms)
    goals = livez_goals(found, alone)
    heads = ("body", "longest wait ms", "of it the server's work", "status", "seconds")
    rows = [tuple(map(str, astuple(waited))) for waited in worst]
    print(table(heads, rows[:SHOWN]))
    print(f"\n{len(found)} bodies; nothing else asked: {alone} ms\n")
    print(goals_table(goals))
    if keep:
        figures = {"nothing_else_ms": alone, "bodies": [asdict(waited) for waited in found]}
        print_written(write_result("livez", surroundings, {"rows": "synthetic"}, figures, goals))
    return exit_code(goals)


def livez_goals(found: Sequence[Waited], alone: float) -> list[Goal]:
    """On a machine that keeps /livez waiting by itself, waits say nothing of the server."""
    work = longest = 0.0
    for waited in found:
        work = max(work, waited.work_ms)
        longest = max(longest, waited.longest_ms)
    goals = [Goal("the server's work while /livez waits, ms", work, "<=", MOST_MS)]
    if alone < QUIET_MS:
        goals.append(Goal("longest wait of /livez, ms", longest, "<=", MOST_MS))
    return goals


if __name__ == "__main__":
    main()
