"""The table of docs/operations.md, made from `results/faults.json` and the scenarios' own words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.faults.figures import seen
from benchmarks.faults.scenarios import SCENARIOS, Scenario
from benchmarks.machine import PROJECT, Facts

PAGE = PROJECT / "docs" / "operations.md"
BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"
HEAD = ("fault", "what is seen (measured)", "what to do", "shown by")


def fault_table(figures: Mapping[str, Facts]) -> str:
    """A line for each scenario, in their order."""
    rule = ["---"] * len(HEAD)
    lines = [row(HEAD), row(rule)]
    for scenario in SCENARIOS:
        cells = scenario_cells(scenario, figures[scenario.name])
        lines.append(row(cells))
    return "\n".join(lines)


def row(cells: Sequence[str]) -> str:
    inner = " | ".join(cells)
    return f"| {inner} |"


def scenario_cells(scenario: Scenario, figures: Facts) -> list[str]:
    measured = "; ".join([seen(figures), *figures["notes"]])
    tests = [link(test) for test in scenario.tests]
    return [scenario.fault, measured, scenario.advice, ", ".join(tests)]


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


def write(figures: Mapping[str, Facts], page: Path = PAGE) -> None:
    """Put the figures' table into the page."""
    table = fault_table(figures)
    page.write_text(with_table(page.read_text(), table))
