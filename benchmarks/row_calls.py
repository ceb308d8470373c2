"""Calls that score one row each, ready to be timed: LightGBM's, and those of Potluck's scorers."""

import ctypes
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from potluck.scoring.lightgbm_library import FLOAT64, RAW_SCORE, Booster, Matrix, call, library
from potluck.scoring.scorer import Scorer

SINGLE_CALLS = 2000
"""Rows that are scored one after the other."""
T = TypeVar("T")


def single_row_calls(booster: Booster, matrix: Matrix) -> list[Callable[[], object]]:
    """LightGBM's fast call for each of some rows."""
    prepared = prepare(booster, matrix.shape[1])
    fast = library().LGBM_BoosterPredictForMatSingleRowFast
    written, score = ctypes.c_int64(), ctypes.c_double()
    rows = [np.ascontiguousarray(row) for row in matrix[:SINGLE_CALLS]]
    out = (ctypes.byref(written), ctypes.byref(score))

    def bound(row: Matrix) -> Callable[[], object]:
        pointer = ctypes.c_void_p(row.ctypes.data)
        return lambda: (fast(prepared, pointer, *out), rows)  # keeps the rows alive

    return [bound(row) for row in rows]


def prepare(booster: Booster, columns: int) -> ctypes.c_void_p:
    """The configuration of LightGBM's fast call, made beforehand as a caller would."""
    prepared = ctypes.c_void_p()
    call(
        "LGBM_BoosterPredictForMatSingleRowFastInit",
        booster._handle,
        RAW_SCORE,
        0,  # from the first tree
        -1,  # to the last one
        FLOAT64,
        ctypes.c_int32(columns),
        b"num_threads=1",
        ctypes.byref(prepared),
    )
    return prepared


def cell_calls(scorer: Scorer, matrix: Matrix) -> list[Callable[[], object]]:
    """The scorer's call for each of some rows, from cells that are there already."""

    def bound(cells: bytes) -> Callable[[], object]:
        return lambda: scorer.raw_scores_of_cells(cells, 1, scorer.used)

    calls = []
    for row in matrix[:SINGLE_CALLS].tolist():
        cells = [scorer.cell(column, row[column]) for column in scorer.used]
        calls.append(bound(b"".join(cells)))
    return calls


def per_call(calls: Sequence[Callable[[], object]]) -> float:
    """Seconds of a call, on average over all of them."""

    def run() -> None:
        for one in calls:
            one()

    _, seconds = timed(run)
    return seconds / len(calls)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What a call answers, and its seconds."""
    begin = time.perf_counter()
    result = work()
    return result, time.perf_counter() - begin
