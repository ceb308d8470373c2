"""Figures beside what a constant reaches on the same rows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from potluck.contract.features import FeatureContract
from potluck.scoring.transform import Predictions
from training.metrics import baseline, class_figures, evaluate, no_better


def contract(objective: Any, classes: tuple[Any, ...] = ()) -> FeatureContract:
    bare = FeatureContract(
        project="p",
        service="s",
        objective=objective,
        transform="identity",
        label_source="labels",
        label="y",
        keys=(),
        request=(),
        online=(),
        views=(),
        functions=(),
        columns=(),
    )
    return replace(bare, classes=classes)


def shares(classes: tuple[str, ...], rows: list[list[float]]) -> Predictions:
    values: list[Any] = [classes[int(np.argmax(row))] for row in rows]
    return Predictions(values, [dict(zip(classes, row, strict=True)) for row in rows])


def test_the_baseline_of_a_regression_is_the_best_constant_of_each_metric() -> None:
    learnt, labels = [1.0, 2.0, 9.0], [1.0, 2.0, 3.0]
    found = baseline(contract("regression"), learnt, labels)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean([9, 4, 1])))
    assert found["mae"] == pytest.approx(2 / 3)
    assert found["rmsle"] < np.sqrt(np.mean((np.log1p(4) - np.log1p(labels)) ** 2))
    assert found["r2"] < 0


def test_the_baseline_of_classes_is_majority_and_prior() -> None:
    of = contract("binary", ("no", "yes"))
    learnt = ["no"] * 80 + ["yes"] * 20
    labels = ["no"] * 5 + ["yes"] * 5
    found = baseline(of, learnt, labels)
    assert found["accuracy"] == 0.5
    assert found["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.2)) / 2)
    assert found["roc_auc"] == 0.5
    assert found["pr_auc"] == 0.5  # the share of the second class


def test_two_classes_are_told_with_average_precision() -> None:
    of = contract("binary", ("no", "yes"))
    predictions = shares(("no", "yes"), [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
    found = evaluate(of, ["no", "yes", "no", "yes"], predictions)
    assert found["pr_auc"] == pytest.approx((1 + 2 / 3) / 2)
    assert set(found) == {"accuracy", "log_loss", "roc_auc", "pr_auc"}


def test_rows_of_one_class_have_no_ranking_to_tell_of() -> None:
    of = contract("binary", ("no", "yes"))
    found = evaluate(of, ["no", "no"], shares(("no", "yes"), [[0.9, 0.1], [0.8, 0.2]]))
    assert set(found) == {"accuracy", "log_loss"}


def test_a_class_is_told_by_precision_recall_and_rows() -> None:
    of = contract("multiclass", ("a", "b", "c"))
    first, second, third = class_figures(of, ["a", "a", "b"], ["a", "b", "b"], ["a", "a", "b"])
    assert (first.precision, first.recall, first.support, first.learnt_from) == (0.5, 1.0, 1, 2)
    assert (second.precision, second.recall) == (1.0, 0.5)
    assert (third.precision, third.recall, third.support, third.learnt_from) == (None, None, 0, 0)


def test_what_is_no_better_than_the_baseline_is_named() -> None:
    assert no_better({"rmse": 2.0, "r2": 0.1}, {"rmse": 1.0, "r2": 0.0}) == ["rmse"]
    assert no_better({"log_loss": 0.5, "accuracy": 0.8}, {"log_loss": 0.6, "accuracy": 0.8}) == [
        "accuracy"
    ]


def test_a_single_row_has_no_r2() -> None:
    found = evaluate(contract("regression"), [1.0], Predictions([1.5], None))
    assert set(found) == {"rmse", "mae", "rmsle"}
