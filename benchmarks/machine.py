"""What a figure depends on besides the code (machine, versions, data), and how results are told and
kept."""

import json
import operator
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from training.lineage import git_commit

RESULTS = Path(__file__).parent / "results"
PROJECT = Path(__file__).parent.parent
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">=": operator.ge,
}
PACKAGES = (
    "potluck",
    "numpy",
    "lightgbm",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "redis",
    "pydantic",
    "feast",
    "mlflow",
    "scikit-learn",
    "pandas",
    "pyarrow",
    "duckdb",
)

Facts = Mapping[str, Any]
"""Names and JSON values, as a result file keeps them."""


@dataclass(frozen=True)
class Goal:
    """What a figure should be, and whether it is."""

    name: str
    figure: float
    comparison: Literal["<", "<=", ">="]
    goal: float

    @property
    def met(self) -> bool:
        return bool(COMPARISONS[self.comparison](self.figure, self.goal))


def machine() -> dict[str, Any]:
    """The machine without its name, and how busy it was when asked."""
    pages = os.sysconf("SC_PHYS_PAGES")
    memory = os.sysconf("SC_PAGE_SIZE") * pages
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9, 1),
        "system": platform.system(),
        "architecture": platform.machine(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def write_result(
    benchmark: str,
    surroundings: Facts,
    data: Facts,
    figures: Facts,
    goals: Sequence[Goal],
    notes: Sequence[str] = (),
) -> Path:
    """Keep a benchmark's figures under `benchmarks/results`.

    Args:
        surroundings: `machine()` as it was before the benchmark began, so that its load is not the
            benchmark's own.
    """
    result = {
        "benchmark": benchmark,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "git_commit": git_commit(PROJECT),
        "machine": dict(surroundings),
        "versions": versions(),
        "data": dict(data),
        "figures": dict(figures),
        "goals": [{**asdict(goal), "met": goal.met} for goal in goals],
        "notes": list(notes),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{benchmark}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def print_written(path: Path) -> None:
    """Say where a result is kept, from the project's folder on."""
    print(f"\nwrote {path.relative_to(PROJECT)}")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be, the first to the left and the others to the right."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join([line(cells, widths) for cells in lines])


def line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One line of a table."""
    first, *rest = cells
    aligned = [first.strip().ljust(widths[0])]
    for cell, width in zip(rest, widths[1:], strict=True):
        aligned.append(cell.rjust(width))
    return "  ".join(aligned)


def goals_table(goals: Sequence[Goal]) -> str:
    rows = []
    for goal in goals:
        wanted = f"{goal.comparison} {goal.goal:.4g}"
        met = "yes" if goal.met else "NO"
        rows.append((goal.name, f"{goal.figure:.4g}", wanted, met))
    return table(("goal", "figure", "wanted", "met"), rows)


def exit_code(goals: Sequence[Goal]) -> int:
    """0 if all goals are met."""
    missed = [goal for goal in goals if not goal.met]
    return 1 if missed else 0


def print_notes(notes: Sequence[str]) -> None:
    """Print notes below a table."""
    print("\n" + "\n".join(notes))
