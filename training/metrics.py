"""Metrics of predictions, in the label's own space, and those of a constant on the same rows."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics

from potluck.contract.features import FeatureContract
from potluck.contract.fields import Literals
from potluck.scoring.transform import Predictions, class_name

LOWER_IS_BETTER = frozenset({"rmse", "mae", "rmsle", "log_loss"})


@dataclass(frozen=True)
class ClassFigures:
    """One class on the test rows."""

    label: Literals
    learnt_from: int
    """Rows of it among those that the measured model learnt from."""
    support: int
    """Rows of it among those that the model was measured on."""
    precision: float | None
    """None where no row was predicted to be of the class."""
    recall: float | None
    """None where no row is of the class."""


def evaluate(
    contract: FeatureContract, labels: Sequence[Any], predictions: Predictions
) -> dict[str, float]:
    """Compute the metrics of an objective, in the label's own space.

    Returns:
        For a regression rmse, mae, r2, and rmsle where nothing is below 0. For classes accuracy and
        log_loss; for two classes also roc_auc and pr_auc (average precision of the second class).
    """
    if contract.objective == "regression":
        return regression_metrics(np.array(labels), np.array(predictions.values))
    return class_metrics(contract, labels, predictions)


def regression_metrics(labels: Any, predicted: Any) -> dict[str, float]:
    found = {
        "rmse": metrics.root_mean_squared_error(labels, predicted),
        "mae": metrics.mean_absolute_error(labels, predicted),
    }
    if len(labels) > 1:
        found["r2"] = metrics.r2_score(labels, predicted)
    if min(labels.min(), predicted.min()) >= 0:
        found["rmsle"] = metrics.root_mean_squared_log_error(labels, predicted)
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def class_metrics(
    contract: FeatureContract, labels: Sequence[Any], predictions: Predictions
) -> dict[str, float]:
    names = [class_name(label) for label in contract.classes]

    def in_order_of_classes(row: Mapping[str, float]) -> list[float]:
        return [row[name] for name in names]

    shares = np.array(list(map(in_order_of_classes, predictions.probabilities or [])))
    return class_share_metrics(contract, labels, predictions.values, shares)


def class_share_metrics(
    contract: FeatureContract, labels: Sequence[Any], predicted: Sequence[Any], shares: Any
) -> dict[str, float]:
    """Compute the metrics of classes.

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
    """Compute the metrics of the best constants that the learning rows give.

    They are mean or median; for classes the most frequent one, and the shares of all.

    Args:
        learnt: labels of the rows that the measured model learnt from.
        labels: labels of the rows that it is measured on.
    """
    if contract.objective == "regression":
        numbers = np.array(labels, dtype=np.float64)
        return regression_baseline(np.array(learnt, dtype=np.float64), numbers)
    counts = np.array([learnt.count(label) for label in contract.classes])
    shares = np.tile(counts / counts.sum(), (len(labels), 1))
    majority = contract.classes[int(counts.argmax())]
    return class_share_metrics(contract, labels, [majority] * len(labels), shares)


def regression_baseline(learnt: Any, labels: Any) -> dict[str, float]:
    """Compute each metric with its own best constant: mean, median, mean of the logarithms."""

    def metrics_of(constant: Any) -> dict[str, float]:
        return regression_metrics(labels, np.full(len(labels), constant))

    found = metrics_of(learnt.mean())
    found["mae"] = metrics_of(np.median(learnt))["mae"]
    if "rmsle" in found and learnt.min() >= 0:
        found["rmsle"] = metrics_of(np.expm1(np.log1p(learnt).mean()))["rmsle"]
    return found


def no_better(found: dict[str, float], than: dict[str, float]) -> list[str]:
    """Name the metrics in which `found` is no better than `than`."""
    worse = []
    for name, value in found.items():
        if name not in than:
            continue
        lower = value < than[name]
        higher = value > than[name]
        is_better = lower if name in LOWER_IS_BETTER else higher
        if not is_better:
            worse.append(name)
    return worse


def class_figures(
    contract: FeatureContract,
    learnt: Sequence[Any],
    labels: Sequence[Any],
    predicted: Sequence[Any],
) -> list[ClassFigures]:
    """Compute precision and recall of every class that the model knows."""
    if contract.objective == "regression":
        return []
    places = range(len(contract.classes))
    codes = [contract.classes.index(label) for label in labels]
    named = [contract.classes.index(label) for label in predicted]
    # A class that is never predicted has no precision: NaN, and a warning for each such class.
    with warnings.catch_warnings(action="ignore"):
        precision, recall, _, support = metrics.precision_recall_fscore_support(
            codes, named, labels=places, zero_division=np.nan
        )
    rows = zip(contract.classes, support, precision, recall, strict=True)
    return [
        ClassFigures(label, learnt.count(label), int(count), none_for_nan(exact), none_for_nan(hit))
        for label, count, exact, hit in rows
    ]


def none_for_nan(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
