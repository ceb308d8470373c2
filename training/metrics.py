"""How good a model is on rows that it never saw."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from potluck.contract.features import FeatureContract
from potluck.scoring.transform import Predictions, class_name


def evaluate(contract: FeatureContract, labels: Sequence[Any], predictions: Predictions) -> dict[str, float]:
    """Metrics in the label's own space.

    Answers:
        For a regression rmse, mae, r2 and, where nothing is below 0, rmsle; for classes accuracy, log_loss and, for
        two of them, roc_auc.
    """
    if contract.objective == "regression":
        return regression_metrics(np.array(labels), np.array(predictions.values))
    return class_metrics(contract, labels, predictions)


def regression_metrics(labels: Any, predicted: Any) -> dict[str, float]:
    found = {
        "rmse": metrics.root_mean_squared_error(labels, predicted),
        "mae": metrics.mean_absolute_error(labels, predicted),
        "r2": metrics.r2_score(labels, predicted),
    }
    if min(labels.min(), predicted.min()) >= 0:
        found["rmsle"] = metrics.root_mean_squared_log_error(labels, predicted)
    return {name: float(value) for name, value in found.items()}


def class_metrics(contract: FeatureContract, labels: Sequence[Any], predictions: Predictions) -> dict[str, float]:
    names = [class_name(label) for label in contract.classes]
    shares = np.array([[row[name] for name in names] for row in predictions.probabilities or []])
    codes = [contract.classes.index(label) for label in labels]
    found = {
        "accuracy": metrics.accuracy_score(labels, predictions.values),
        "log_loss": metrics.log_loss(codes, shares, labels=range(len(names))),
    }
    if len(names) == 2 and len(set(codes)) == 2:
        found["roc_auc"] = metrics.roc_auc_score(codes, shares[:, 1])
    return {name: float(value) for name, value in found.items()}
