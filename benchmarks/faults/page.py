"""The table of docs/operations.md, made from `results/faults.json` and the scenarios' own words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.faults.figures import seen
from benchmarks.faults.scenarios import SCENARIOS, Scenario
from benchmarks.machine import PROJECT

PAGE = PROJECT / "docs" / "operations.md"
BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"
HEAD = ("fault", "what is seen (measured)", "what to do", "shown by")


def fault_table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each scenario, in their order."""
    lines = [row(HEAD), row(["---"] * len(HEAD))]
    lines += [row(scenario_cells(scenario, figures[scenario.name])) for scenario in SCENARIOS]
    return "\n".join(lines)


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def scenario_cells(scenario: Scenario, figures: Mapping[str, Any]) -> list[str]:
    notes = "".join(f"; {note}" for note in figures["notes"])
    tests = ", ".join(link(test) for test in scenario.tests)
    return [scenario.fault, seen(figures) + notes, scenario.advice, tests]


def link(test: str) -> str:
    file, _, name = test.partition("::")
    return f"[`{name}`](../tests/{file})"


def with_table(page: str, table: str) -> str:
    """The page with this table between the marks.

    Raises:
        ValueError: the page has no marks.
    """
    if BEGIN not in page or END not in page:
        raise ValueError(f"expected the marks {BEGIN} and {END} in the page")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def write(figures: Mapping[str, Mapping[str, Any]], page: Path = PAGE) -> None:
    page.write_text(with_table(page.read_text(), fault_table(figures)))
