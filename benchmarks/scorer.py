"""One row and many through LightGBM and through the forest: speed, exactness, what opening costs.

    python -m benchmarks.scorer [--repeats 5] [--checked 100000] [--seed 0]

Models of 100, 1000 and 5000 trees (depth 6, at most 32 leaves) over 28 and 86 columns made to
order: whole numbers of a few values, continuous numbers, categories, one value in twenty missing.
"""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import click

from benchmarks.machine import (
    Facts,
    Goal,
    goals_table,
    machine,
    print_notes,
    print_written,
    table,
    write_result,
)
from benchmarks.progress import print_progress
from benchmarks.row_calls import cell_calls, per_call, single_row_calls, timed
from benchmarks.scorer_models import forest_if_it_can, made_to_order, trained
from potluck.contract.errors import BundleError
from potluck.scoring.forest import Forest
from potluck.scoring.lightgbm_library import Booster, Matrix
from potluck.scoring.probe import check_scorer
from potluck.scoring.scorer import Scorer

COLUMNS, TREES = (28, 86), (100, 1000, 5000)
TRAINING_ROWS, BATCH_ROWS = 5000, 5000
REFERENCE, LEAST_TIMES = (28, 1000), 4.0
NOTES = (
    (
        "LightGBM, one row: its C library's call for single rows with the configuration prepared "
        "beforehand."
    ),
    (
        "forest, one row: from the row's cells, as the server's plan hands them over. Rows change "
        "from call to call."
    ),
    (
        "batch: microseconds a row, from a matrix of float64, one thread; the forest's includes "
        "ranking every value."
    ),
    (
        "differ: of rows on, beside and between thresholds, NaN, infinities and unseen categories "
        "among them."
    ),
)


@dataclass(frozen=True)
class Shape:
    """A model's figures; times are medians."""

    columns: int
    trees: int
    scorer: str
    lightgbm_row_us: float
    row_us: float
    lightgbm_batch_us: float
    batch_us: float
    lightgbm_open_ms: float
    open_ms: float
    tables_mb: float
    checked: int
    differ: bool

    @property
    def times(self) -> float:
        return self.lightgbm_row_us / self.row_us


@click.command()
@click.option("--repeats", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option(
    "--checked",
    type=click.IntRange(1),
    default=100_000,
    show_default=True,
    help="Rows compared per model.",
)
@click.option("--seed", default=0, show_default=True)
def main(repeats: int, checked: int, seed: int) -> None:
    """Measure every shape of model."""
    surroundings = machine()
    shapes = []
    for columns in COLUMNS:
        for trees in TREES:
            shape = measure_shape(columns, trees, repeats, checked, seed)
            shapes.append(shape)
    data = {"kind": "made to order", "rows": TRAINING_ROWS, "seed": seed}
    report_scorer(surroundings, data, shapes)


def measure_shape(columns: int, trees: int, repeats: int, checked: int, seed: int) -> Shape:
    """Train a model of this shape, time it, and compare its scores."""
    print_progress(f"{columns} columns, {trees} trees")
    matrix, categories = made_to_order(TRAINING_ROWS, columns, seed)
    text = trained(matrix, categories, trees, seed)
    scorer, open_seconds = timed(lambda: forest_if_it_can(text))
    booster, lightgbm_seconds = timed(lambda: Booster(text))
    rounds = [one_round(booster, scorer, matrix) for _ in range(repeats)]
    medians = [statistics.median(seconds) for seconds in zip(*rounds, strict=True)]
    lightgbm_row, row, lightgbm_batch, batch = medians
    return Shape(
        columns=columns,
        trees=trees,
        scorer=scorer.name,
        lightgbm_row_us=1e6 * lightgbm_row,
        row_us=1e6 * row,
        lightgbm_batch_us=1e6 * lightgbm_batch,
        batch_us=1e6 * batch,
        lightgbm_open_ms=1e3 * lightgbm_seconds,
        open_ms=1e3 * open_seconds,
        tables_mb=tables_mb(scorer),
        checked=checked,
        differ=differs(scorer, text, checked, seed),
    )


def one_round(
    booster: Booster, scorer: Scorer, matrix: Matrix
) -> tuple[float, float, float, float]:
    """Seconds a row: LightGBM's single row, the scorer's, LightGBM's batch, the scorer's."""
    batch = matrix[:BATCH_ROWS]
    lightgbm_row = per_call(single_row_calls(booster, matrix))
    row = per_call(cell_calls(scorer, matrix))
    _, lightgbm_batch = timed(lambda: booster.raw_scores(batch))
    _, whole_batch = timed(lambda: scorer.raw_scores(batch))
    return lightgbm_row, row, lightgbm_batch / len(batch), whole_batch / len(batch)


def tables_mb(scorer: Scorer) -> float:
    return scorer.table.nbytes / 1e6 if isinstance(scorer, Forest) else 0.0


def differs(scorer: Scorer, text: bytes, rows: int, seed: int) -> bool:
    try:
        check_scorer(scorer, text, rows, seed)
    except BundleError as error:
        print(error, file=sys.stderr)
        return True
    return False


def report_scorer(surroundings: Facts, data: Facts, shapes: Sequence[Shape]) -> None:
    """Print the tables, and write the figures to the result file."""
    heads = (
        "columns",
        "trees",
        "scorer",
        "LightGBM row µs",
        "row µs",
        "times",
        "LightGBM batch µs",
        "batch µs",
        "open ms",
        "tables MB",
        "differ",
    )
    print(table(heads, [shape_cells(shape) for shape in shapes]))
    goals = scorer_goals(shapes)
    print_notes(NOTES)
    print("\n" + goals_table(goals))
    figures = [{**asdict(shape), "times": shape.times} for shape in shapes]
    print_written(write_result("scorer", surroundings, data, {"shapes": figures}, goals, NOTES))


def shape_cells(shape: Shape) -> tuple[str, ...]:
    return (
        str(shape.columns),
        str(shape.trees),
        shape.scorer,
        f"{shape.lightgbm_row_us:.1f}",
        f"{shape.row_us:.1f}",
        f"{shape.times:.1f}",
        f"{shape.lightgbm_batch_us:.1f}",
        f"{shape.batch_us:.1f}",
        f"{shape.open_ms:.1f}",
        f"{shape.tables_mb:.1f}",
        "YES" if shape.differ else "no",
    )


def scorer_goals(shapes: Sequence[Shape]) -> list[Goal]:
    columns, trees = REFERENCE
    (reference,) = [shape for shape in shapes if (shape.columns, shape.trees) == REFERENCE]
    named = f"one row of {columns} columns, {trees} trees: times LightGBM's fast single row"
    checked = sum(shape.checked for shape in shapes)
    same = sum(shape.checked for shape in shapes if not shape.differ)
    return [
        Goal(named, round(reference.times, 2), ">=", LEAST_TIMES),
        Goal("rows that score to the bit", same, ">=", checked),
    ]


if __name__ == "__main__":
    main()
