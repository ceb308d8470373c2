"""LightGBM's C library gives the bits that LightGBM's own package gives."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lightgbm
import numpy as np
import pytest

from potluck.contract.errors import BundleError
from potluck.scoring.lightgbm_library import Booster, Matrix, library_version

WIDTH, CATEGORY, CATEGORIES = 6, 5, 8
OBJECTIVES = ("regression", "binary", "multiclass")


def matrix(rows: int, seed: int) -> Matrix:
    """Five numbers with a few missing, and a category."""
    random = np.random.default_rng(seed)
    made = random.normal(size=(rows, WIDTH))
    made[random.random(made.shape) < 0.07] = np.nan
    made[:, CATEGORY] = random.integers(0, CATEGORIES, rows)
    return made


def labels(objective: str, made: Matrix) -> Any:
    signal = np.nan_to_num(made).sum(axis=1)
    if objective == "regression":
        return signal
    return np.digitize(signal, [3.0] if objective == "binary" else [2.0, 4.0])


@pytest.fixture(scope="module", params=OBJECTIVES)
def trained(request: pytest.FixtureRequest) -> lightgbm.Booster:
    made = matrix(500, seed=1)
    parameters = {
        "objective": request.param,
        "num_leaves": 9,
        "verbosity": -1,
        "num_threads": 1,
        "seed": 0,
    }
    parameters |= {"num_class": 3} if request.param == "multiclass" else {}
    data = lightgbm.Dataset(
        made, labels(request.param, made), categorical_feature=[CATEGORY], params={"verbosity": -1}
    )
    booster = lightgbm.train(parameters, data, num_boost_round=15)
    return lightgbm.Booster(model_str=booster.model_to_string())


@pytest.fixture
def opened(trained: lightgbm.Booster) -> Booster:
    return Booster(trained.model_to_string().encode())


def reference(trained: lightgbm.Booster, made: Matrix) -> Matrix:
    scores = np.asarray(trained.predict(made, raw_score=True, num_threads=1), dtype=np.float64)
    return scores.reshape(len(made), -1)


def assert_same_bits(ours: Matrix, theirs: Matrix) -> None:
    assert ours.shape == theirs.shape
    assert ours.tobytes() == np.ascontiguousarray(theirs).tobytes()


def test_raw_scores_are_the_packages_to_the_bit(trained: lightgbm.Booster, opened: Booster) -> None:
    made = matrix(1000, seed=2)
    assert_same_bits(opened.raw_scores(made), reference(trained, made))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, -1.0, 2.5, 99.0, 1e300, -0.0, 5e-324])
@pytest.mark.parametrize("column", [0, CATEGORY])
def test_odd_values_score_as_the_package_scores_them(
    trained: lightgbm.Booster, opened: Booster, odd: float, column: int
) -> None:
    made = matrix(50, seed=3)
    made[:, column] = odd
    assert_same_bits(opened.raw_scores(made), reference(trained, made))


def test_an_unseen_category_scores_as_a_missing_one(opened: Booster) -> None:
    unseen, missing = matrix(50, seed=4), matrix(50, seed=4)
    unseen[:, CATEGORY], missing[:, CATEGORY] = CATEGORIES + 5, np.nan
    assert_same_bits(opened.raw_scores(unseen), opened.raw_scores(missing))


def test_a_row_scores_alone_as_among_others(opened: Booster) -> None:
    made = matrix(200, seed=5)
    alone = np.vstack([opened.raw_scores(made[row : row + 1]) for row in range(len(made))])
    assert_same_bits(alone, opened.raw_scores(made))


def test_the_layout_in_memory_does_not_matter(opened: Booster) -> None:
    made = matrix(50, seed=6)
    expected = opened.raw_scores(made)
    assert_same_bits(opened.raw_scores(np.asfortranarray(made)), expected)
    assert_same_bits(opened.raw_scores(np.hstack([made, made])[:, :WIDTH]), expected)


def test_threads_share_a_model_and_get_the_same_bits(opened: Booster) -> None:
    made = matrix(300, seed=7)
    expected = opened.raw_scores(made)
    with ThreadPoolExecutor(4) as pool:
        for scores in pool.map(opened.raw_scores, [made] * 16):
            assert_same_bits(scores, expected)


def test_no_row_gives_no_score(opened: Booster) -> None:
    assert opened.raw_scores(np.empty((0, WIDTH))).shape == (0, opened.outputs)


def test_width_and_outputs_are_the_models(trained: lightgbm.Booster, opened: Booster) -> None:
    assert (opened.width, opened.outputs) == (WIDTH, trained.num_model_per_iteration())


@pytest.mark.parametrize("width", [WIDTH - 1, WIDTH + 1, 0])
def test_another_width_is_refused(opened: Booster, width: int) -> None:
    with pytest.raises(BundleError, match=f"takes {WIDTH} columns, the contract has {width}"):
        opened.raw_scores(np.zeros((2, width)))


def test_closing_twice_is_harmless(trained: lightgbm.Booster) -> None:
    with Booster(trained.model_to_string().encode()) as opened:
        opened.close()


def test_the_library_comes_without_the_package_and_what_it_drags_in() -> None:
    code = (
        "import sys; from potluck.scoring.lightgbm_library import library; library(); "
        "print(sorted({'lightgbm', 'pandas', 'sklearn', 'scipy', 'pyarrow'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_the_version_is_the_packages() -> None:
    assert library_version() == lightgbm.__version__
