"""Golden rows: inputs, and the raw score that each must give to the bit wherever the bundle is
opened."""

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from potluck.contract.errors import BundleError, DataError
from potluck.contract.fields import Literals
from potluck.scoring.bundle import GOLDEN_FILE
from potluck.scoring.functions import Columns
from potluck.scoring.model import Model

TOLERANCE = 1e-12  # across CPUs, of a prediction behind exp(); raw scores have none


@dataclass(frozen=True)
class GoldenRows:
    """A sample of the training rows, column by column."""

    times: tuple[datetime, ...]
    inputs: dict[str, tuple[Literals | None, ...]]
    raw: tuple[tuple[float, ...], ...]
    predictions: tuple[Literals, ...]


GOLDEN = TypeAdapter(GoldenRows)


def golden_rows(model: Model, inputs: Columns, times: Sequence[datetime]) -> bytes:
    """`golden.json` of these rows, as the model scores them now."""
    scored = model.score(inputs, times)
    rows = GoldenRows(
        times=tuple(times),
        inputs={name: tuple(values) for name, values in inputs.items()},
        raw=tuple(map(tuple, scored.raw.tolist())),
        predictions=tuple(scored.predictions.values),
    )
    return GOLDEN.dump_json(rows)


def check_golden(model: Model, folder: Path) -> int:
    """Score a bundle's golden rows and answer how many there are.

    Raises:
        BundleError: a row scores differently, or the rows don't fit the contract.
    """
    golden = read_golden(folder)
    try:
        scored = model.score(golden.inputs, golden.times)
    except (DataError, KeyError) as error:
        raise BundleError(
            f"the golden rows of bundle {folder.name} don't fit its contract: {error}"
        ) from None
    for row, (raw, expected) in enumerate(zip(scored.raw.tolist(), golden.raw, strict=True)):
        if tuple(raw) != expected:
            raise BundleError(
                f"golden row {row} of bundle {folder.name} scores {raw}, expected {list(expected)}"
            )
    for row, (value, wanted) in enumerate(
        zip(scored.predictions.values, golden.predictions, strict=True)
    ):
        if not same(value, wanted):
            raise BundleError(
                f"golden row {row} of bundle {folder.name} predicts {value!r}, expected {wanted!r}"
            )
    return len(golden.times)


def read_golden(folder: Path) -> GoldenRows:
    try:
        golden = GOLDEN.validate_json((folder / GOLDEN_FILE).read_bytes())
    except OSError as error:
        raise BundleError(
            f"{GOLDEN_FILE} of bundle {folder.name} can't be read: {error.strerror}"
        ) from None
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise BundleError(
            f"{GOLDEN_FILE} of bundle {folder.name} can't be read: {reason}"
        ) from None
    if not golden.times:
        raise BundleError(
            f"{GOLDEN_FILE} of bundle {folder.name} holds no row, so nothing vouches for the model"
        )
    return golden


def same(value: Any, wanted: Any) -> bool:
    if isinstance(value, float) and isinstance(wanted, int | float):
        return math.isclose(value, wanted, rel_tol=TOLERANCE)
    return bool(value == wanted)
