"""Score one shard of the population: a pure function from record batch to record batch."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch.admission import refusals
from potluck.contract.errors import DataError
from potluck.contract.features import FeatureContract
from potluck.contract.fields import DType
from potluck.contract.publication import PREDICTION, PROBABILITIES
from potluck.scoring.model import Model
from potluck.scoring.vectors import LabelVector, NumberVector
from potluck.stores.parquet.arrow_types import ARROW_TYPES
from potluck.stores.parquet.population import Population, ShardRows
from potluck.stores.parquet.shard import Shard

FAILURE = "failure"
Inputs = dict[str, Sequence[Any]]
"""Input of the contract -> its column."""
LABEL_TYPES: dict[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
}


@dataclass(frozen=True)
class ScoredShard:
    """What a worker returns."""

    shard: Shard
    rows: pa.RecordBatch
    seconds: dict[str, float]
    """Step -> seconds of this worker."""


@dataclass(frozen=True)
class ScoringJob:
    """Everything that scoring a shard takes: plain data, which other processes and machines get."""

    contract: FeatureContract
    functions: str
    model_text: bytes
    population: Population
    as_of: datetime

    @cached_property
    def model(self) -> Model:
        """The model, opened once in each process."""
        return Model(self.contract, self.functions, self.model_text)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "model"}

    def run(self, shard: Shard) -> ScoredShard:
        """Read a shard's features and score them."""
        started = time.perf_counter()
        rows = self.population.read(shard)
        read = time.perf_counter()
        scored = score_batch(self.model, rows, self.as_of)
        seconds = {"features": read - started, "score": time.perf_counter() - read}
        return ScoredShard(shard, scored, seconds)


def score_batch(model: Model, rows: ShardRows, as_of: datetime) -> pa.RecordBatch:
    """Score every row by itself: a row that fails has a reason, and the others are scored.

    Args:
        rows: the key and every input of the contract, and which entities are known.
        as_of: request time of defaults that stand for a part of it.

    Returns:
        The key, `prediction`, `probabilities` (JSON text; null for a regression), `failure` (null
        where scored).
    """
    refused = refusals(model.contract, rows)
    if refused is None:
        return score_admitted(model, rows.batch, as_of)
    scored = score_admitted(model, rows.batch.filter(refused.is_null()), as_of)
    return insert_refused(scored, rows.batch.column(model.contract.keys[0].name), refused)


def score_admitted(model: Model, batch: pa.RecordBatch, as_of: datetime) -> pa.RecordBatch:
    """Score the rows that HTTP would answer, as long as no on-demand function fails."""
    contract = model.contract
    inputs = {}
    for field in contract.inputs:
        inputs[field.name] = vector(batch.column(field.name), field.dtype)
    values, shares, failures = score_rows(model, inputs, [as_of] * batch.num_rows)
    # In the order of `scored_schema`.
    columns = [
        batch.column(contract.keys[0].name),
        pa.array(values, prediction_arrow_type(contract)),
        pa.array(shares, pa.string()),
        pa.array(failures, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=scored_schema(contract))


def insert_refused(
    scored: pa.RecordBatch,
    keys: pa.Array,
    refused: pa.StringArray,
) -> pa.RecordBatch:
    """Put the scored rows in their places among those that were refused.

    Args:
        scored: the rows that were not refused, in their order.
        keys: of all rows.
        refused: why a row was refused, null where it was not; as long as `keys`.
    """
    answered = refused.is_null().to_numpy(zero_copy_only=False)
    # The n-th row that was answered is the n-th scored one; a refused row takes none.
    places = pa.array(np.cumsum(answered) - 1, mask=~answered)
    columns = [
        keys,
        scored.column(PREDICTION).take(places),
        scored.column(PROBABILITIES).take(places),
        pc.coalesce(refused, scored.column(FAILURE).take(places)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=scored.schema)


def scored_schema(contract: FeatureContract) -> pa.Schema:
    key = contract.keys[0]
    return pa.schema(
        {
            key.name: ARROW_TYPES[key.dtype],
            PREDICTION: prediction_arrow_type(contract),
            PROBABILITIES: pa.string(),
            FAILURE: pa.string(),
        }
    )


def prediction_arrow_type(contract: FeatureContract) -> pa.DataType:
    return LABEL_TYPES[type(contract.classes[0])] if contract.classes else pa.float64()


def vector(column: pa.Array, dtype: DType) -> Sequence[Any]:
    """Turn a column into what the row builder takes, without a Python object for each value."""
    if dtype != "string":
        numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return NumberVector(numbers, dtype)
    encoded = column.dictionary_encode()
    places = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy().astype(np.intp)
    return LabelVector(places, encoded.dictionary.to_pylist())


RowScores = tuple[list[Any], list[str | None], list[str | None]]
"""Values, probabilities and failures, row by row."""


def score_rows(model: Model, inputs: Inputs, times: Sequence[datetime]) -> RowScores:
    """Score rows; where an on-demand function fails, halve them until the failing row is alone."""
    height = len(times)
    if not height:
        return [], [], []
    try:
        predictions = model.score(inputs, times).predictions
    except DataError as error:
        if height == 1:
            return [None], [None], [str(error)]
        return score_halves(model, inputs, times)
    shares: list[str | None] = [None] * height
    if predictions.probabilities is not None:
        shares = list(map(json.dumps, predictions.probabilities))
    return predictions.values, shares, [None] * height


def score_halves(model: Model, inputs: Inputs, times: Sequence[datetime]) -> RowScores:
    half = len(times) // 2
    first = {name: column[:half] for name, column in inputs.items()}
    second = {name: column[half:] for name, column in inputs.items()}
    values, shares, failures = score_rows(model, first, times[:half])
    more_values, more_shares, more_failures = score_rows(model, second, times[half:])
    return values + more_values, shares + more_shares, failures + more_failures
