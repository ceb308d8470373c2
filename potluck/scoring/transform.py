"""Raw score -> prediction. One function for one row and for a million: `np.exp` and `math.exp`
differ by a bit."""

from dataclasses import dataclass

import numpy as np

from potluck.contract.features import Objective, Transform
from potluck.contract.fields import Literals
from potluck.scoring.lightgbm_library import Matrix


@dataclass(frozen=True)
class Predictions:
    """What a service answers, row by row."""

    values: list[Literals]
    """The predicted number, or the label of the most probable class."""
    probabilities: list[dict[str, float]] | None
    """For classes: label (as text) -> probability."""


def predict(
    raw: Matrix, objective: Objective, transform: Transform, classes: tuple[Literals, ...]
) -> Predictions:
    """Turn raw scores, float64 of shape (rows, outputs), into predictions in the label's own
    space."""
    if objective == "regression":
        return Predictions(to_label_space(raw[:, 0], transform).tolist(), None)
    shares = class_shares(raw, objective)
    names = [class_name(label) for label in classes]
    return Predictions(
        values=[classes[code] for code in shares.argmax(axis=1).tolist()],
        probabilities=[dict(zip(names, row, strict=True)) for row in shares.tolist()],
    )


def to_model_space(label: Matrix, transform: Transform) -> Matrix:
    return np.log(label) if transform == "log" else label


def to_label_space(raw: Matrix, transform: Transform) -> Matrix:
    return np.exp(raw) if transform == "log" else raw


def class_shares(raw: Matrix, objective: Objective) -> Matrix:
    """Probabilities, shape (rows, classes); each row sums to 1."""
    if objective == "binary":
        positive = 1.0 / (1.0 + np.exp(-raw[:, 0]))
        return np.column_stack([1.0 - positive, positive])
    scaled = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True))


def class_name(label: Literals) -> str:
    """A label as a JSON key."""
    return str(label).lower() if isinstance(label, bool) else str(label)


def probability_column(label: Literals) -> str:
    """Name of the column with a class's probability, wherever predictions are a table."""
    return f"probability_{class_name(label)}"
