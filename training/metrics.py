"""How good predictions are, in the label's own space, beside what a constant would have reached on the same rows."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics

from potluck.contract.features import FeatureContract, Literals
from potluck.scoring.transform import Predictions, class_name

LOWER_IS_BETTER = frozenset({"rmse", "mae", "rmsle", "log_loss"})


@dataclass(frozen=True)
class ClassFigures:
    """One class on the test rows."""

    label: Literals
    learnt_from: int
    """Rows of it among those that the measured model learnt from."""
    support: int
    """Rows of it among those that it was measured on."""
    precision: float | None
    """None where nothing was predicted to be of the class."""
    recall: float | None
    """None where no row is."""


def evaluate(
    contract: FeatureContract, labels: Sequence[Any], predictions: Predictions
) -> dict[str, float]:
    """Metrics in the label's own space.

    Answers:
        For a regression rmse, mae, r2 and, where nothing is below 0, rmsle; for classes accuracy, log_loss and, for
        two of them, roc_auc and pr_auc (average precision of the second one).
    """
    if contract.objective == "regression":
        return regression_metrics(np.array(labels), np.array(predictions.values))
    return class_metrics(contract, labels, predictions)


def regression_metrics(labels: Any, predicted: Any) -> dict[str, float]:
    found = {
        "rmse": metrics.root_mean_squared_error(labels, predicted),
        "mae": metrics.mean_absolute_error(labels, predicted),
        "r2": metrics.r2_score(labels, predicted) if len(labels) > 1 else np.nan,
    }
    if min(labels.min(), predicted.min()) >= 0:
        found["rmsle"] = metrics.root_mean_squared_log_error(labels, predicted)
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def class_metrics(
    contract: FeatureContract, labels: Sequence[Any], predictions: Predictions
) -> dict[str, float]:
    names = [class_name(label) for label in contract.classes]
    shares = np.array([[row[name] for name in names] for row in predictions.probabilities or []])
    return measured_classes(contract, labels, predictions.values, shares)


def measured_classes(
    contract: FeatureContract, labels: Sequence[Any], predicted: Sequence[Any], shares: Any
) -> dict[str, float]:
    """
    Args:
        shares: probabilities, shape (rows, classes).
    """
    codes = [contract.classes.index(label) for label in labels]
    named = [contract.classes.index(label) for label in predicted]
    found = {
        "accuracy": metrics.accuracy_score(codes, named),
        "log_loss": metrics.log_loss(codes, shares, labels=range(len(contract.classes))),
    }
    if len(contract.classes) == 2 and len(set(codes)) == 2:
        found["roc_auc"] = metrics.roc_auc_score(codes, shares[:, 1])
        found["pr_auc"] = metrics.average_precision_score(codes, shares[:, 1])
    return {name: float(value) for name, value in found.items()}


def baseline(
    contract: FeatureContract, learnt: Sequence[Any], labels: Sequence[Any]
) -> dict[str, float]:
    """What the best constants reach that the learning rows know: mean or median, majority class, shares of the classes.

    Args:
        learnt: labels of the rows that the measured model learnt from.
        labels: of the rows that it is measured on.
    """
    if contract.objective == "regression":
        return regression_baseline(
            np.array(learnt, dtype=np.float64), np.array(labels, dtype=np.float64)
        )
    counts = np.array([learnt.count(label) for label in contract.classes])
    shares = np.tile(counts / counts.sum(), (len(labels), 1))
    majority = contract.classes[int(counts.argmax())]
    return measured_classes(contract, labels, [majority] * len(labels), shares)


def regression_baseline(learnt: Any, labels: Any) -> dict[str, float]:
    """Each metric's own best constant: the mean of squares, the median of distances, the mean of logarithms."""
    found = regression_metrics(labels, np.full(len(labels), learnt.mean()))
    found["mae"] = regression_metrics(labels, np.full(len(labels), np.median(learnt)))["mae"]
    if "rmsle" in found and learnt.min() >= 0:
        middle = np.expm1(np.log1p(learnt).mean())
        found["rmsle"] = regression_metrics(labels, np.full(len(labels), middle))["rmsle"]
    return found


def no_better(found: dict[str, float], than: dict[str, float]) -> list[str]:
    """Metrics in which the one is no better than the other."""
    return [
        name
        for name, value in found.items()
        if name in than
        and (value >= than[name] if name in LOWER_IS_BETTER else value <= than[name])
    ]


def class_figures(
    contract: FeatureContract,
    learnt: Sequence[Any],
    labels: Sequence[Any],
    predicted: Sequence[Any],
) -> list[ClassFigures]:
    """Precision and recall of every class that the model knows."""
    if contract.objective == "regression":
        return []
    places = range(len(contract.classes))
    codes = [contract.classes.index(label) for label in labels]
    named = [contract.classes.index(label) for label in predicted]
    with warnings.catch_warnings(action="ignore"):
        precision, recall, _, support = metrics.precision_recall_fscore_support(
            codes, named, labels=places, zero_division=np.nan
        )
    return [
        ClassFigures(
            label, learnt.count(label), int(rows), finite_or_none(exact), finite_or_none(found)
        )
        for label, exact, found, rows in zip(
            contract.classes, precision, recall, support, strict=True
        )
    ]


def finite_or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
