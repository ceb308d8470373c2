"""Faults under load, one after the other, and how soon all is well again.

    python -m benchmarks.faults [--only NAME ...] [--seconds 3]

One home with two services, a server of one worker or two, a Redis of its own, 160 requests a second
over 16 connections. Every request is kept, and every 200 is compared with what was answered before.
"""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from benchmarks.faults import page
from benchmarks.faults.figures import fault_figures, seen
from benchmarks.faults.ground import AS_OF, ROWS, FaultGround, ground
from benchmarks.faults.load import CONNECTIONS, RATE
from benchmarks.faults.scenarios import SCENARIOS, Scenario
from benchmarks.faults.stage import Stage
from benchmarks.home import stop_like_ctrl_c
from benchmarks.machine import PROJECT, Facts, Goal, exit_code, goals_table, machine, write_result

NAMES = [each.name for each in SCENARIOS]
MOST_STEADY_SECONDS = 10.0
Figures = Mapping[str, Facts]
"""By scenario."""


@click.command()
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="A trial, not kept.")
@click.option("--seconds", default=3.0, show_default=True, help="Length of most faults.")
def main(only: Sequence[str], seconds: float) -> None:
    """Play the scenarios; ends with 1 if an answer is wrong or a goal is missed."""
    stop_like_ctrl_c()
    surroundings = machine()
    figures = {}
    with ground() as laid:
        for scenario in SCENARIOS:
            if not only or scenario.name in only:
                figures[scenario.name] = play(scenario, laid, seconds)
    goals = fault_goals(figures)
    print(goals_table(goals))
    if not only:
        keep_figures(surroundings, figures, goals, seconds)
    sys.exit(exit_code(goals))


def keep_figures(
    surroundings: Facts, figures: Figures, goals: Sequence[Goal], seconds: float
) -> None:
    """Write figures and goals to the result file, and the figures' table to the page."""
    data = {
        "kind": "made by the repo's ingest",
        "rows": ROWS,
        "as_of": AS_OF,
        "requests_per_second": RATE,
        "connections": CONNECTIONS,
        "fault_seconds": seconds,
    }
    path = write_result("faults", surroundings, data, figures, goals)
    page.write(figures)
    print(f"\nwrote {path.relative_to(PROJECT)}, {page.PAGE.relative_to(PROJECT)}")


def play(scenario: Scenario, ground: FaultGround, seconds: float) -> dict[str, Any]:
    """Play one scenario on a fresh server; answers its figures."""
    begun = time.monotonic()
    stage = Stage(ground, seconds)
    asyncio.run(scenario.play(stage))
    scene = stage.played[-1]
    figures = fault_figures(scene.load.asked, scene.begun, scene.ended)
    told = {**asdict(figures), "notes": scene.notes}
    print(f"{scenario.name}: {seen(told)}")
    for note in (*scene.notes, f"wrong {figures.wrong}, unexpected {figures.unexpected}"):
        print(f"    {note}")
    print(f"    {time.monotonic() - begun:.0f} s in all", flush=True)
    return told


def fault_goals(figures: Figures) -> list[Goal]:
    """What must hold whatever breaks."""
    notes: list[str] = []
    slowest = 0.0
    for told in figures.values():
        notes += told["notes"]
        slowest = max(slowest, told["steady_s"])
    broken = [note for note in notes if "NOT " in note]
    unexpected = total(figures, "unexpected")
    return [
        Goal("wrong answers", total(figures, "wrong"), "<=", 0),
        Goal("answers that are no 200, 404, 429 or 503", unexpected, "<=", 0),
        Goal("requests cut by SIGTERM", requests_cut(notes), "<=", 0),
        Goal("promises that were not kept", len(broken), "<=", 0),
        Goal("seconds until all is well again", slowest, "<=", MOST_STEADY_SECONDS),
    ]


def total(figures: Figures, name: str) -> int:
    return sum(told[name] for told in figures.values())


def requests_cut(notes: Sequence[str]) -> int:
    """What `stop_and_start` noted, all together."""
    count = 0
    for note in notes:
        if note.endswith(" requests cut"):
            number, _, _ = note.partition(" ")
            count += int(number)
    return count


if __name__ == "__main__":
    main()
