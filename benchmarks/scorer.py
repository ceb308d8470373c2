"""One row and many through LightGBM and through the forest: speed, exactness, what opening costs.

    python -m benchmarks.scorer [--repeats 5] [--checked 100000] [--seed 0]

Models of 100, 1000 and 5000 trees (depth 6, at most 32 leaves) over 28 and 86 columns made to
order: whole numbers of a few values, continuous numbers, categories, one value in twenty missing.
"""

import ctypes
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

import click
import lightgbm
import numpy as np

from benchmarks.machine import PROJECT, Goal, goals_table, machine, table, write_result
from potluck.contract.errors import BundleError
from potluck.scoring.forest import Forest, UnknownTreesError
from potluck.scoring.lightgbm_library import FLOAT64, RAW_SCORE, Booster, Matrix, call, library
from potluck.scoring.model_text import TextModel, read_model
from potluck.scoring.probe import check_scorer
from potluck.scoring.scorer import Scorer

COLUMNS, TREES = (28, 86), (100, 1000, 5000)
TRAINING_ROWS, BATCH_ROWS, SINGLE_CALLS = 5000, 5000, 2000
REFERENCE, LEAST_TIMES = (28, 1000), 4.0
PARAMETERS = {"objective": "regression", "num_leaves": 32, "max_depth": 6, "learning_rate": 0.03}
T = TypeVar("T")
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
    shapes = [
        measure_shape(columns, trees, repeats, checked, seed)
        for columns in COLUMNS
        for trees in TREES
    ]
    report_scorer(
        surroundings, {"kind": "made to order", "rows": TRAINING_ROWS, "seed": seed}, shapes
    )


def made_to_order(rows: int, columns: int, seed: int) -> tuple[Matrix, list[int]]:
    """A matrix, and which of its columns are categories."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(rows, columns))
    categories = list(range(0, columns, 3))
    matrix[:, categories] = random.integers(0, 12, (rows, len(categories)))
    matrix[:, 1::3] = random.integers(0, 40, matrix[:, 1::3].shape)
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    return matrix, categories


def trained(matrix: Matrix, categories: Sequence[int], trees: int, seed: int) -> bytes:
    random = np.random.default_rng(seed + 1)
    label = np.nan_to_num(matrix) @ random.normal(size=matrix.shape[1]) + random.normal(
        size=len(matrix)
    )
    quiet = {"verbosity": -1, "num_threads": 1, "seed": seed}
    data = lightgbm.Dataset(
        matrix, label, categorical_feature=list(categories), params={"verbosity": -1}
    )
    return (
        lightgbm.train({**PARAMETERS, **quiet}, data, num_boost_round=trees)
        .model_to_string()
        .encode()
    )


def measure_shape(columns: int, trees: int, repeats: int, checked: int, seed: int) -> Shape:
    print(f"{columns} columns, {trees} trees ...", file=sys.stderr, flush=True)
    matrix, categories = made_to_order(TRAINING_ROWS, columns, seed)
    text = trained(matrix, categories, trees, seed)
    scorer, open_seconds = timed(lambda: forest_if_it_can(text))
    booster, lightgbm_seconds = timed(lambda: Booster(text))
    rounds = [one_round(booster, scorer, matrix) for _ in range(repeats)]
    lightgbm_row, row, lightgbm_batch, batch = (
        1e6 * statistics.median(each) for each in zip(*rounds, strict=True)
    )
    return Shape(
        *(columns, trees, scorer.name, lightgbm_row, row, lightgbm_batch, batch),
        *(
            1e3 * lightgbm_seconds,
            1e3 * open_seconds,
            tables_mb(scorer),
            checked,
            differs(scorer, text, checked, seed),
        ),
    )


def forest_if_it_can(text: bytes) -> Scorer:
    model: TextModel = read_model(text)
    try:
        return Forest(model)
    except UnknownTreesError as reason:
        print(f"left to LightGBM: {reason}", file=sys.stderr)
        return Booster(text)


def one_round(
    booster: Booster, scorer: Scorer, matrix: Matrix
) -> tuple[float, float, float, float]:
    """Seconds a row: LightGBM's single row, the scorer's, LightGBM's batch, the scorer's."""
    batch = matrix[:BATCH_ROWS]
    return (
        per_call(single_row_calls(booster, matrix)),
        per_call(cell_calls(scorer, matrix)),
        timed(lambda: booster.raw_scores(batch))[1] / len(batch),
        timed(lambda: scorer.raw_scores(batch))[1] / len(batch),
    )


def single_row_calls(booster: Booster, matrix: Matrix) -> list[Callable[[], object]]:
    """LightGBM's fast call for each of some rows."""
    prepared, width = ctypes.c_void_p(), ctypes.c_int32(matrix.shape[1])
    call(
        *(
            "LGBM_BoosterPredictForMatSingleRowFastInit",
            booster._handle,
            RAW_SCORE,
            0,
            -1,
            FLOAT64,
            width,
        ),
        *(b"num_threads=1", ctypes.byref(prepared)),
    )
    fast, written, score = (
        library().LGBM_BoosterPredictForMatSingleRowFast,
        ctypes.c_int64(),
        ctypes.c_double(),
    )
    rows = [np.ascontiguousarray(row) for row in matrix[:SINGLE_CALLS]]
    out = (ctypes.byref(written), ctypes.byref(score))

    def bound(row: Matrix) -> Callable[[], object]:
        pointer = ctypes.c_void_p(row.ctypes.data)
        return lambda: (fast(prepared, pointer, *out), rows)  # keeps the rows alive

    return [bound(row) for row in rows]


def cell_calls(scorer: Scorer, matrix: Matrix) -> list[Callable[[], object]]:
    rows = matrix[:SINGLE_CALLS].tolist()
    cells = [b"".join(scorer.cell(column, row[column]) for column in scorer.used) for row in rows]
    return [
        lambda cells=cells: scorer.raw_scores_of_cells(cells, 1, scorer.used) for cells in cells
    ]


def per_call(calls: Sequence[Callable[[], object]]) -> float:
    def run() -> None:
        for one in calls:
            one()

    return timed(run)[1] / len(calls)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin


def tables_mb(scorer: Scorer) -> float:
    return scorer.table.nbytes / 1e6 if isinstance(scorer, Forest) else 0.0


def differs(scorer: Scorer, text: bytes, rows: int, seed: int) -> bool:
    try:
        check_scorer(scorer, text, rows, seed)
    except BundleError as error:
        print(error, file=sys.stderr)
        return True
    return False


def report_scorer(
    surroundings: dict[str, object], data: dict[str, object], shapes: Sequence[Shape]
) -> None:
    heads = (
        "columns",
        "trees",
        "scorer",
        "LightGBM row µs",
        "row µs",
        "times",
        "LightGBM batch µs",
        "batch µs",
    )
    print(
        table((*heads, "open ms", "tables MB", "differ"), [shape_cells(shape) for shape in shapes])
    )
    goals = scorer_goals(shapes)
    print("\n" + "\n".join(NOTES) + "\n\n" + goals_table(goals))
    figures = [{**asdict(shape), "times": shape.times} for shape in shapes]
    written = write_result("scorer", surroundings, data, {"shapes": figures}, goals, NOTES)
    print(f"\nwrote {written.relative_to(PROJECT)}")


def shape_cells(shape: Shape) -> tuple[str, ...]:
    speeds = (
        shape.lightgbm_row_us,
        shape.row_us,
        shape.times,
        shape.lightgbm_batch_us,
        shape.batch_us,
    )
    numbers = [f"{number:.1f}" for number in (*speeds, shape.open_ms, shape.tables_mb)]
    return (
        str(shape.columns),
        str(shape.trees),
        shape.scorer,
        *numbers,
        "YES" if shape.differ else "no",
    )


def scorer_goals(shapes: Sequence[Shape]) -> list[Goal]:
    columns, trees = REFERENCE
    (reference,) = [shape for shape in shapes if (shape.columns, shape.trees) == REFERENCE]
    named = f"one row of {columns} columns, {trees} trees: times LightGBM's fast single row"
    checked = sum(shape.checked for shape in shapes if not shape.differ)
    return [
        Goal(named, round(reference.times, 2), ">=", LEAST_TIMES),
        Goal("rows that score to the bit", checked, ">=", sum(shape.checked for shape in shapes)),
    ]


if __name__ == "__main__":
    main()
