"""Parameters are chosen among declared candidates, on rows held back within those to learn from."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss

from benchmarks.defaults import encoded_table, figures, plain_lightgbm, splittable
from benchmarks.tables import Made, comics
from training.booster import EncodedTable, train_booster
from training.candidates import CANDIDATES, MOST_ITERATIONS, choose_parameters, count_iterations
from training.parameters import TUNABLE, read_parameters
from training.split import Splittable, split, windows

SEED = 0


def nothing(_: int) -> None:
    pass


@pytest.fixture(scope="module")
def made() -> Made:
    return comics(SEED)


@pytest.fixture(scope="module")
def parts(made: Made) -> tuple[EncodedTable, Splittable, EncodedTable]:
    rows, table = splittable(made), encoded_table(made)
    found = split(rows, "time", SEED)
    return table.take(found.learn), rows.take(found.learn), table.take(found.test)


def test_candidates_declare_only_what_lightgbm_takes() -> None:
    for candidate in CANDIDATES:
        given = [(name, str(value)) for name, value in candidate.parameters.items()]
        assert read_parameters(given) == candidate.parameters
        assert set(candidate.parameters) <= set(TUNABLE)
        assert candidate.parameters.get("num_leaves", 31) <= 64  # what the fast scorer holds


def test_the_choice_is_no_worse_than_lightgbms_own_defaults(
    parts: tuple[EncodedTable, Splittable, EncodedTable],
) -> None:
    learn, rows, test = parts
    choice = choose_parameters(learn, windows(rows, "time", SEED), {}, SEED, nothing)
    ours = figures(train_booster(learn, choice.parameters, SEED, nothing), test)
    assert ours["log_loss"] <= figures(plain_lightgbm(learn), test)["log_loss"]


def test_the_choice_tells_every_candidates_error_and_takes_the_smallest(
    parts: tuple[EncodedTable, Splittable, EncodedTable],
) -> None:
    learn, rows, _ = parts
    choice = choose_parameters(learn, windows(rows, "time", SEED), {}, SEED, nothing)
    assert choice.measure == "log_loss"
    assert set(choice.errors) == {"random_splits", "cautious", "lightgbm"}
    assert min(choice.errors, key=lambda name: choice.errors[name]) == choice.candidate
    assert 1 <= int(choice.parameters["num_iterations"]) <= MOST_ITERATIONS


def test_the_same_rows_and_seed_give_the_same_choice(
    parts: tuple[EncodedTable, Splittable, EncodedTable],
) -> None:
    learn, rows, _ = parts
    first, again = (
        choose_parameters(learn, windows(rows, "random", 7), {}, 7, nothing) for _ in range(2)
    )
    assert first == again


def test_what_is_given_goes_before_every_candidate(
    parts: tuple[EncodedTable, Splittable, EncodedTable],
) -> None:
    learn, rows, _ = parts
    given = {"num_iterations": 7, "num_leaves": 5}
    choice = choose_parameters(learn, windows(rows, "time", SEED), given, SEED, nothing)
    assert {name: choice.parameters[name] for name in given} == given


def test_progress_adds_up_to_the_work_that_was_announced(
    parts: tuple[EncodedTable, Splittable, EncodedTable],
) -> None:
    learn, rows, _ = parts
    told: list[int] = []
    splits = windows(rows, "time", SEED)
    choose_parameters(learn, splits, {}, SEED, told.append)
    assert sum(told) == count_iterations(learn, splits, {})


def test_a_window_with_one_class_to_learn_from_takes_no_part() -> None:
    count = 200
    labels = np.repeat([0.0, 1.0], count // 2)
    random = np.random.default_rng(SEED)
    table = EncodedTable("binary", ("x",), (), random.normal(size=(count, 1)), labels, 2)
    times = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(count)]
    splits = windows(Splittable("labels", times, pa.table({}), labels.tolist(), True), "time", SEED)
    assert len(splits) == 3
    assert count_iterations(table, splits, {"num_iterations": 10}) == 3 * 2 * 10
    assert np.isfinite([*choose_parameters(table, splits, {}, SEED, nothing).errors.values()]).all()


@pytest.mark.parametrize(
    "given",
    [
        {"boosting": "dart"},
        {"linear_tree": True},
        {"zero_as_missing": True},
        {"use_missing": False},
        {"data_sample_strategy": "goss"},
        {"num_leaves": 100, "min_data_in_leaf": 1},
        {"is_unbalance": True},
        {"boost_from_average": False},
    ],
    ids=str,
)
def test_whatever_may_be_given_is_served_to_the_bit(
    given: dict[str, Any], parts: tuple[EncodedTable, Splittable, EncodedTable]
) -> None:
    """LightGBM serves what the fast scorer does not know; the probabilities are LightGBM's own."""
    from potluck.scoring.scorer import open_scorer
    from potluck.scoring.transform import class_shares

    learn, _, test = parts
    booster = train_booster(learn, {"num_iterations": 20, **given}, SEED, nothing)
    raw = open_scorer(booster.model_to_string().encode(), len(learn.names)).raw_scores(test.matrix)
    assert raw[:, 0].tolist() == booster.predict(test.matrix, raw_score=True).tolist()
    shares = class_shares(raw, "binary")
    assert np.allclose(shares[:, 1], booster.predict(test.matrix), rtol=1e-12)
    assert log_loss(test.labels, shares) < 1
