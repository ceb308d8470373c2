"""What `mlflow.pyfunc.load_model` loads: a bundle that takes raw, named columns and answers what
HTTP answers.

MLflow calls `_load_pyfunc` with the folder of the model version. This module needs neither MLflow
nor pandas.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from potluck.contract.errors import DataError
from potluck.scoring.bundle import open_bundle
from potluck.scoring.frames import contract_columns, read_table
from potluck.scoring.model import Model
from potluck.scoring.transform import Predictions, probability_column

REQUEST_TIME = "request_time"
"""Parameter: the moment that defaults such as `request_time.year` stand for."""


class PyFunc:
    """A bundle, as MLflow's users call it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.contract = model.contract

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """Score a table of request fields and looked-up fields.

        Args:
            data: a DataFrame, a list of records or a dict of columns. Join keys may be among them.
            params: `request_time`, an ISO date or time (UTC unless it says otherwise); now, if it
                is not given.

        Answers:
            Regression: a numpy array of float64. Classes: a DataFrame with the index of `data`, the
                columns
            `prediction` and `probability_<class>`; for what is no DataFrame, a list of records with
            these.

        Raises:
            DataError: a column is unknown, a required one is absent, or a value has another type.
        """
        moment = moment_of((params or {}).get(REQUEST_TIME))
        table = read_table(data)
        inputs = contract_columns(self.contract, table)
        scored = self.model.score(inputs, [moment] * table.height)
        return answer(data, self.contract.classes, scored.predictions)


def _load_pyfunc(path: str) -> PyFunc:
    """MLflow's entry point.

    Digests are compared before anything is opened: LightGBM's library may abort on a damaged text.

    Raises:
        BundleError: a file of the bundle is missing or changed.
    """
    return PyFunc(open_bundle(Path(path)))


def moment_of(given: Any) -> datetime:
    """The request's time, fixed once for a call.

    Raises:
        DataError: it is no date and no time.
    """
    if given is None:
        return datetime.now(UTC)
    try:
        text = given.isoformat() if isinstance(given, date) else given
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise DataError(
            f"expected {REQUEST_TIME} to be such as 2010-07-31T18:00:00+00:00, got {given!r}"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def answer(data: Any, classes: tuple[Any, ...], predictions: Predictions) -> Any:
    if not classes:
        return np.array(predictions.values, dtype=np.float64)
    columns: dict[str, list[Any]] = {"prediction": predictions.values}
    shares = [list(row.values()) for row in predictions.probabilities or []]
    for place, label in enumerate(classes):
        columns[probability_column(label)] = [row[place] for row in shares]
    if hasattr(data, "columns") and hasattr(data, "index"):
        return type(data)(columns, index=data.index)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
