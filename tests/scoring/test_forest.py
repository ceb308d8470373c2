"""The forest adds up a model's trees to the bits of LightGBM's own sum, or leaves the model to
LightGBM."""

from typing import Any

import lightgbm
import numpy as np
import pytest

from potluck.contract.errors import BundleError
from potluck.scoring.forest import Forest
from potluck.scoring.forest_columns import UnknownTreesError
from potluck.scoring.lightgbm_library import Booster, Matrix
from potluck.scoring.model_text import read_model
from potluck.scoring.probe import check_scorer, probe_rows
from potluck.scoring.scorer import open_scorer

WIDTH, CATEGORIES = 8, (6, 7)
QUIET = {"verbosity": -1, "num_threads": 1, "seed": 0, "min_data_in_leaf": 3, "num_leaves": 15}
KINDS: dict[str, dict[str, Any]] = {
    "regression": {},
    "binary": {"objective": "binary"},
    "multiclass": {"objective": "multiclass", "num_class": 3},
    "two leaves": {"num_leaves": 2},
    "eight leaves": {"num_leaves": 8},
    "thirty-two leaves": {"num_leaves": 32},
    "thirty-three leaves": {"num_leaves": 33},
    "sixty-four leaves": {"num_leaves": 64, "min_data_in_leaf": 1},
    "deep": {"num_leaves": 60, "max_depth": -1, "min_data_in_leaf": 1},
    "extra trees": {"extra_trees": True},
    "dart": {"boosting": "dart"},
    "goss": {"data_sample_strategy": "goss"},
    "no missing values": {"use_missing": False},
    "quantile": {"objective": "quantile"},
    "one category against the rest": {"max_cat_to_onehot": 100},
    "many categories at once": {"max_cat_to_onehot": 1, "cat_smooth": 0.1, "min_data_per_group": 1},
}
LEFT_TO_LIGHTGBM = {
    "linear": {"linear_tree": True},
    "zero as missing": {"zero_as_missing": True},
    "65 leaves": {"num_leaves": 65, "min_data_in_leaf": 1},
}


def rows(count: int, seed: int) -> Matrix:
    """Numbers, two of them never missing, and two categories; one column is constant."""
    random = np.random.default_rng(seed)
    made = random.normal(size=(count, WIDTH))
    made[:, 1] = random.integers(0, 5, count)
    made[random.random(made.shape) < 0.07] = np.nan
    made[:, 2:4] = np.nan_to_num(made[:, 2:4])
    made[:, 5] = 3.0
    made[:, 6] = random.integers(0, 5, count)
    made[:, 7] = random.integers(0, 70, count)
    made[random.random(count) < 0.1, 7] = np.nan
    return made


def trained(parameters: dict[str, Any], trees: int = 25) -> bytes:
    made = rows(800, seed=1)
    signal = np.nan_to_num(made[:, :5]).sum(axis=1) + (made[:, 7] % 7 > 2) + made[:, 6]
    classes = {"binary": 2, "multiclass": 3}.get(parameters.get("objective", ""))
    label = (
        signal
        if classes is None
        else np.digitize(signal, np.quantile(signal, np.arange(1, classes) / classes))
    )
    data = lightgbm.Dataset(
        made, label, categorical_feature=list(CATEGORIES), params={"verbosity": -1}
    )
    booster = lightgbm.train({**QUIET, **parameters}, data, num_boost_round=trees)
    return booster.model_to_string().encode()


@pytest.fixture(scope="module", params=KINDS)
def text(request: pytest.FixtureRequest) -> bytes:
    return trained(KINDS[request.param])


def perturbed(count: int, seed: int) -> Matrix:
    """Rows with what no training saw: infinities, unseen, negative and broken codes, numbers next
    to nothing."""
    random = np.random.default_rng(seed)
    made = rows(count, seed)
    odd = [
        np.nan,
        np.inf,
        -np.inf,
        0.0,
        -0.0,
        1e-40,
        -1e-36,
        5e-324,
        1e300,
        -1.0,
        -0.5,
        2.5,
        69.0,
        70.0,
        1e9,
        2.0**40,
    ]
    places = random.random(made.shape) < 0.15
    made[places] = random.choice(odd, places.sum())
    return made


def assert_same_bits(ours: Matrix, theirs: Matrix) -> None:
    assert ours.shape == theirs.shape
    assert ours.tobytes() == theirs.tobytes()


def test_a_hundred_thousand_rows_score_to_the_bit(text: bytes) -> None:
    made = np.vstack([perturbed(4_000, seed=2), probe_rows(read_model(text), 3_000, seed=3)])
    assert len(made) * len(KINDS) > 100_000
    assert_same_bits(Forest(read_model(text)).raw_scores(made), Booster(text).raw_scores(made))


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 64, 255, 256, 257, 600])
def test_cells_score_as_the_matrix_does(text: bytes, count: int) -> None:
    forest, made = Forest(read_model(text)), perturbed(600, seed=4)[:count]
    cells = b"".join(
        forest.cell(column, row[column]) for row in made.tolist() for column in forest.used
    )
    assert_same_bits(
        forest.raw_scores_of_cells(cells, count, forest.used), Booster(text).raw_scores(made)
    )


@pytest.mark.parametrize("column", range(WIDTH))
def test_one_columns_values_count_and_no_others(text: bytes, column: int) -> None:
    """A value at the wrong place in the tables would show in some row."""
    made = np.repeat(rows(1, seed=5), 200, axis=0)
    made[:, column] = perturbed(200, seed=6)[:, column]
    assert_same_bits(Forest(read_model(text)).raw_scores(made), Booster(text).raw_scores(made))


def test_trees_without_a_split_give_their_constant() -> None:
    made = rows(50, seed=7)
    data = lightgbm.Dataset(made, np.full(50, 4.0), params={"verbosity": -1})
    text = (
        lightgbm.train({**QUIET, "boost_from_average": True}, data, num_boost_round=3)
        .model_to_string()
        .encode()
    )
    forest = Forest(read_model(text))
    assert forest.used == ()
    assert_same_bits(forest.raw_scores(made), Booster(text).raw_scores(made))
    assert_same_bits(forest.raw_scores_of_cells(b"", 2, ()), Booster(text).raw_scores(made[:2]))


@pytest.mark.parametrize("kind", LEFT_TO_LIGHTGBM)
def test_what_the_tables_cant_hold_is_left_to_lightgbm_and_said(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = trained(LEFT_TO_LIGHTGBM[kind])
    with pytest.raises(UnknownTreesError):
        Forest(read_model(text))
    scorer = open_scorer(text, WIDTH)
    assert scorer.name == "lightgbm"
    assert "LightGBM itself scores this model" in caplog.text
    made = perturbed(300, seed=8)
    assert_same_bits(scorer.raw_scores(made), Booster(text).raw_scores(made))
    order = [*reversed(range(WIDTH))]
    cells = b"".join(scorer.cell(column, row[column]) for row in made.tolist() for column in order)
    assert_same_bits(
        scorer.raw_scores_of_cells(cells, len(made), order), Booster(text).raw_scores(made)
    )


def test_averaged_trees_are_refused_as_lightgbms_raw_score_is_their_sum() -> None:
    text = trained({"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5})
    made = rows(50, seed=9)
    mean = lightgbm.Booster(model_str=text.decode()).predict(made)
    assert np.allclose(Booster(text).raw_scores(made)[:, 0], 25 * np.asarray(mean))
    with pytest.raises(BundleError, match="averages its trees"):
        open_scorer(text, WIDTH)


def test_tables_beyond_the_limit_are_left_to_lightgbm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("potluck.scoring.forest.LARGEST_TABLE", 1000)
    assert open_scorer(trained({}), WIDTH).name == "lightgbm"


@pytest.mark.parametrize("width", [WIDTH - 1, WIDTH + 1])
def test_a_model_of_another_width_is_refused(width: int) -> None:
    with pytest.raises(
        BundleError, match=f"the model takes {WIDTH} columns, the contract has {width}"
    ):
        open_scorer(trained({}), width)


def test_a_scorer_that_differs_is_found_out(text: bytes) -> None:
    forest = Forest(read_model(text))
    check_scorer(forest, text)
    forest.leaves[:2] += 1e-9
    with pytest.raises(BundleError, match="the scorer forest differs from LightGBM on"):
        check_scorer(forest, text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"end of trees", b""),
        (b"left_child=", b"left_child=7 "),
        (b"split_feature=", b"split_feature=x "),
        (b"leaf_value=", b"leaf_value=1 "),
        (b"num_tree_per_iteration=1", b""),
        (b"\xff", b""),
    ],
)
def test_a_text_that_is_no_model_is_refused_with_words(old: bytes, new: bytes) -> None:
    text = trained({})
    broken = text.replace(old, new, 1) if old in text else b"\xff" + text
    with pytest.raises(BundleError, match="is not LightGBM's text"):
        read_model(broken)


def test_a_tree_whose_nodes_go_in_a_circle_is_refused() -> None:
    text = trained({"num_leaves": 4}, trees=1)
    start = text.index(b"right_child=")
    line = text[start : text.index(b"\n", start)]
    with pytest.raises(BundleError, match=r"do not hang together|before its parent"):
        read_model(text.replace(line, b"right_child=0 -3 -4"))
