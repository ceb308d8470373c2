"""From raw scores to predictions, the same bits for one row and for many."""

import numpy as np
import pytest

from potluck.contract.features import Objective
from potluck.scoring.lightgbm_library import Matrix
from potluck.scoring.transform import (
    class_name,
    class_shares,
    predict,
    to_label_space,
    to_model_space,
)


def raw_scores(rows: int, outputs: int, seed: int = 0) -> Matrix:
    return np.random.default_rng(seed).normal(scale=3.0, size=(rows, outputs))


def test_identity_leaves_a_regression_as_it_is() -> None:
    raw = raw_scores(50, 1)
    predictions = predict(raw, "regression", "identity", ())
    assert predictions.values == raw[:, 0].tolist()
    assert predictions.probabilities is None


def test_log_brings_the_label_back() -> None:
    label = np.array([1e-9, 0.5, 1.0, 208500.0, 1e12])
    assert to_label_space(to_model_space(label, "log"), "log") == pytest.approx(label, rel=1e-12)
    assert to_model_space(label, "log") == pytest.approx(
        [np.log(value) for value in label], rel=1e-12
    )


def test_values_are_plain_python_numbers() -> None:
    assert all(
        type(value) is float for value in predict(raw_scores(3, 1), "regression", "log", ()).values
    )


def test_a_binary_score_is_the_log_odds_of_the_second_class() -> None:
    predictions = predict(
        np.array([[0.0], [np.log(3.0)], [-np.log(3.0)]]), "binary", "identity", ("no", "yes")
    )
    assert predictions.probabilities is not None
    assert [share["yes"] for share in predictions.probabilities] == pytest.approx([0.5, 0.75, 0.25])
    assert predictions.values[1:] == ["yes", "no"]


def test_the_most_probable_class_is_predicted() -> None:
    raw = np.array([[0.0, 2.0, 1.0], [3.0, -1.0, 0.0]])
    predictions = predict(raw, "multiclass", "identity", ("a", "b", "c"))
    assert predictions.values == ["b", "a"]
    assert predictions.probabilities is not None
    assert predictions.probabilities[0] == pytest.approx(
        {
            "a": np.exp(-2) / (1 + np.exp(-2) + np.exp(-1)),
            "b": 1 / (1 + np.exp(-2) + np.exp(-1)),
            "c": 0.2447284,
        }
    )


@pytest.mark.parametrize(
    ("objective", "outputs"), [("binary", 1), ("multiclass", 3), ("multiclass", 40)]
)
def test_shares_sum_to_one(objective: Objective, outputs: int) -> None:
    shares = class_shares(raw_scores(500, outputs), objective)
    assert shares.sum(axis=1) == pytest.approx(np.ones(500), rel=1e-12)
    assert ((shares >= 0) & (shares <= 1)).all()


@pytest.mark.parametrize(
    ("objective", "raw"), [("binary", [[700.0]]), ("multiclass", [[1e5, 0.0, -1e5]])]
)
def test_a_certain_score_stays_finite(objective: Objective, raw: list[list[float]]) -> None:
    shares = class_shares(np.array(raw), objective)
    assert np.isfinite(shares).all()
    assert shares.max() == 1.0


@pytest.mark.parametrize(
    ("objective", "outputs"),
    [("regression", 1), ("binary", 1), ("multiclass", 3), ("multiclass", 12), ("multiclass", 150)],
)
def test_one_row_gives_the_bits_that_it_gives_among_a_thousand(
    objective: Objective, outputs: int
) -> None:
    raw = raw_scores(1000, outputs)
    classes = tuple(map(str, range(2 if objective == "binary" else outputs)))
    transform = "log" if objective == "regression" else "identity"
    together = predict(raw, objective, transform, classes)
    for row in range(1000):
        alone = predict(raw[row : row + 1], objective, transform, classes)
        assert alone.values == together.values[row : row + 1]
        assert (alone.probabilities or [])[:1] == (together.probabilities or [])[row : row + 1]


@pytest.mark.parametrize(
    ("label", "name"), [("a", "a"), (True, "true"), (False, "false"), (3, "3"), (0.5, "0.5")]
)
def test_a_label_as_a_json_key(label: str | int | float | bool, name: str) -> None:
    assert class_name(label) == name


def test_labels_keep_their_type_and_their_names_are_text() -> None:
    predictions = predict(np.array([[5.0], [-5.0]]), "binary", "identity", (False, True))
    assert predictions.values == [True, False]
    assert predictions.probabilities is not None
    assert list(predictions.probabilities[0]) == ["false", "true"]
