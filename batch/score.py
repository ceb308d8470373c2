"""The population, as it was known at a date, scored by the champion."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from feast import FeatureStore

from potluck.contract.errors import DataError, DefinitionError, MissingStepError
from potluck.contract.features import Literals
from potluck.scoring.bundle import Model
from potluck.stores.offline import TIME, Inputs, data_source, point_in_time, read_latest

CHUNK_ROWS = 10_000


@dataclass(frozen=True)
class Scores:
    """Predictions by entity; `keys`, `values` and `probabilities` go side by side."""

    as_of: datetime
    population: int
    keys: list[int | str]
    values: list[Literals]
    probabilities: list[dict[str, float]] | None
    failures: list[tuple[Any, str]]
    """Key and reason of every row that could not be scored."""


def score_population(
    store: FeatureStore, model: Model, as_of: datetime, progress: Callable[[str, int, int], None]
) -> Scores:
    """Score every entity of the population whose row is dated up to `as_of`.

    Raises:
        MissingStepError: the population is empty at that date.
        DefinitionError: the service has no single join key.
    """
    inputs = population_inputs(store, model, as_of)
    keys = inputs.keys.column(0).to_pylist()
    scores = Scores(as_of, len(keys), [], [], [] if model.contract.classes else None, [])
    for start in range(0, len(keys), CHUNK_ROWS):
        rows = list(range(start, min(start + CHUNK_ROWS, len(keys))))
        score_rows(model, inputs, keys, rows, scores)
        progress("score", rows[-1] + 1, len(keys))
    return scores


def population_inputs(store: FeatureStore, model: Model, as_of: datetime) -> Inputs:
    contract = model.contract
    if len(contract.keys) != 1 or contract.population is None:
        raise DefinitionError(f"{contract.service} needs one join key and the tag population to be scored by night")
    source = data_source(store, contract.population)
    rows = read_latest(store, source, contract.keys, contract.request, as_of)
    if rows.num_rows == 0:
        raise MissingStepError(
            f"{contract.population} holds no row up to {as_of:%Y-%m-%d}; ingest, or take a later date"
        )
    moments = pa.array([as_of] * rows.num_rows, pa.timestamp("us", tz="UTC"))
    return point_in_time(store, contract, rows.set_column(rows.column_names.index(TIME), TIME, moments))


def score_rows(model: Model, inputs: Inputs, keys: list[Any], rows: list[int], scores: Scores) -> None:
    """Score these rows; where one makes an on-demand function fail, each by itself."""
    columns = {name: [values[row] for row in rows] for name, values in inputs.columns.items()}
    try:
        scored = model.score(columns, [inputs.times[row] for row in rows])
    except DataError as error:
        if len(rows) == 1:
            scores.failures.append((keys[rows[0]], str(error)))
        else:
            for row in rows:
                score_rows(model, inputs, keys, [row], scores)
        return
    scores.keys.extend(keys[row] for row in rows)
    scores.values.extend(scored.predictions.values)
    if scores.probabilities is not None and scored.predictions.probabilities is not None:
        scores.probabilities.extend(scored.predictions.probabilities)
