"""LightGBM's C library by ctypes: `import lightgbm` would load pandas, scikit-learn and 190 MB."""

import ctypes
import importlib.metadata
import importlib.util
import struct
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from potluck.contract.errors import BundleError, PotluckError

Matrix = npt.NDArray[np.float64]

FLOAT64, ROW_MAJOR, RAW_SCORE, ALL_TREES = 1, 1, 1, -1
PACKED = struct.Struct("=d")
ONE_THREAD = b"num_threads=1"  # a fork after a multi-threaded predict hangs


@cache
def library() -> ctypes.CDLL:
    """The C library of the installed lightgbm.

    Raises:
        PotluckError: lightgbm, or the libgomp that it links, is not installed.
    """
    spec = importlib.util.find_spec("lightgbm")
    folders = (spec.submodule_search_locations or []) if spec else []
    for path in (Path(folder) / "lib" / "lib_lightgbm.so" for folder in folders):
        try:
            return prepared(ctypes.CDLL(str(path)))
        except OSError as error:
            raise PotluckError(
                f"LightGBM's library does not load: {error}; install libgomp1"
            ) from None
    raise PotluckError("expected lightgbm with its C library; install potluck's dependencies")


def prepared(loaded: ctypes.CDLL) -> ctypes.CDLL:
    loaded.LGBM_GetLastError.restype = ctypes.c_char_p
    loaded.LGBM_BoosterFree.argtypes = [ctypes.c_void_p]
    return loaded


def library_version() -> str:
    return importlib.metadata.version("lightgbm")


class Booster:
    """A LightGBM text model, opened as a `Scorer`. Close it, or use it as a context."""

    name = "lightgbm"

    def __init__(self, text: bytes) -> None:
        """Open a model. A corrupt text may abort the process: check it in a child first
        (`potluck.scoring.check`)."""
        self._handle = ctypes.c_void_p()
        iterations = ctypes.c_int()
        call(
            "LGBM_BoosterLoadModelFromString",
            text,
            ctypes.byref(iterations),
            ctypes.byref(self._handle),
        )
        self.width = self._count("LGBM_BoosterGetNumFeature")
        self.outputs = self._count("LGBM_BoosterGetNumClasses")
        self.used = tuple(range(self.width))

    def cell(self, _column: int, value: float) -> bytes:
        return PACKED.pack(value)

    def raw_scores_of_cells(self, cells: bytes, rows: int, order: Sequence[int]) -> Matrix:
        arranged = np.frombuffer(cells).reshape(rows, self.width)
        matrix = np.empty_like(arranged)
        matrix[:, order] = arranged
        return self.raw_scores(matrix)

    def raw_scores(self, matrix: Matrix) -> Matrix:
        rows, width = matrix.shape
        if width != self.width:
            raise BundleError(f"the model takes {self.width} columns, the contract has {width}")
        scores = np.empty((rows, self.outputs), dtype=np.float64)
        if rows:
            self._predict(np.ascontiguousarray(matrix), scores)
        return scores

    def _predict(self, matrix: Matrix, scores: Matrix) -> None:
        rows, width = matrix.shape
        written = ctypes.c_int64()
        call(
            "LGBM_BoosterPredictForMat",
            self._handle,
            matrix.ctypes.data_as(ctypes.c_void_p),
            FLOAT64,
            ctypes.c_int32(rows),
            ctypes.c_int32(width),
            ROW_MAJOR,
            RAW_SCORE,
            0,
            ALL_TREES,
            ONE_THREAD,
            ctypes.byref(written),
            scores.ctypes.data_as(ctypes.c_void_p),
        )
        if written.value != scores.size:
            raise BundleError(
                f"LightGBM wrote {written.value} scores where {scores.size} were expected"
            )

    def _count(self, function: str) -> int:
        number = ctypes.c_int()
        call(function, self._handle, ctypes.byref(number))
        return number.value

    def close(self) -> None:
        if self._handle:
            library().LGBM_BoosterFree(self._handle)
            self._handle = ctypes.c_void_p()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def call(function: str, *arguments: object) -> None:
    """Call the library; a code other than 0 is an error with LightGBM's own words."""
    loaded = library()
    if getattr(loaded, function)(*arguments) != 0:
        raise BundleError(
            f"LightGBM refused: {loaded.LGBM_GetLastError().decode(errors='replace')}"
        )
