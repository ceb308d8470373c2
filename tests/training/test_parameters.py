"""`--param`: names are resolved; what would be ignored or misread is refused before training."""

import os
import sys
from pathlib import Path

import pytest
import warm_python

from potluck.contract.errors import UsageError
from training.parameters import (
    DECIDED,
    GOES_WITH,
    OF_TWO_CLASSES,
    TUNABLE,
    aliases,
    check_effect,
    read_parameters,
)


def refusal(*given: tuple[str, str]) -> str:
    with pytest.raises(UsageError) as refused:
        read_parameters(given)
    return str(refused.value)


def test_an_alias_stands_for_lightgbms_own_name() -> None:
    given = [("n_estimators", "50"), ("eta", "0.2"), ("extra_tree", "true")]
    assert read_parameters(given) == {
        "num_iterations": 50,
        "learning_rate": 0.2,
        "extra_trees": True,
    }


def test_the_same_parameter_by_two_names_is_refused() -> None:
    assert "twice, as num_iterations and as n_estimators" in refusal(
        ("num_iterations", "5"), ("n_estimators", "6")
    )


def test_the_same_name_twice_is_refused() -> None:
    assert "twice" in refusal(("learning_rate", "0.1"), ("learning_rate", "0.2"))


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    assert (
        refusal(("learning_rat", "0.1"))
        == "LightGBM has no parameter learning_rat; did you mean learning_rate?"
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("objective", "the tag objective"),
        ("num_class", "the labels"),
        ("random_state", "--seed"),
        ("n_jobs", "no bit of the model"),
        ("early_stopping_rounds", "Potluck chooses num_iterations"),
        ("metric", "Potluck reports"),
        ("cat_feature", "the tag categorical"),
        ("sigmoid", "plain sigmoid"),
        ("reg_sqrt", "the tag transform"),
        ("monotone_constraints", "ends the whole process"),
        ("input_model", "other uses"),
        ("weight_column", "other uses"),
        ("device", "other uses"),
    ],
)
def test_what_potluck_decides_itself_is_refused_with_where_it_is_said(name: str, told: str) -> None:
    said = refusal((name, "1"))
    assert said.startswith(f"--param can't give {name}")
    assert told in said


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("learning_rate", "fast", "a number above 0"),
        ("learning_rate", "0", "a number above 0"),
        ("learning_rate", "nan", "a number above 0"),
        ("num_iterations", "0", "a whole number of at least 1"),
        pytest.param("num_iterations", "9" * 400, "a whole number of at least 1", id="400 digits"),
        ("num_iterations", "-3", "a whole number of at least 1"),
        ("num_iterations", "1.5", "a whole number of at least 1"),
        ("num_leaves", "1", "a whole number from 2 to 131072"),
        ("bagging_fraction", "1.1", "a number above 0 and up to 1"),
        ("extra_trees", "maybe", "true or false"),
        ("boosting", "rf", "one of gbdt, dart"),
    ],
)
def test_a_value_of_a_wrong_kind_is_refused_in_plain_words(
    name: str, value: str, expected: str
) -> None:
    assert refusal((name, value)) == f"--param {name}: expected {expected}, got '{value}'"


def test_every_parameter_is_one_that_the_installed_lightgbm_knows() -> None:
    own = set(aliases().values())
    assert set(TUNABLE) | set(DECIDED) | set(GOES_WITH) | set(OF_TWO_CLASSES) <= own
    assert not set(TUNABLE) & set(DECIDED)


@pytest.mark.parametrize("name", sorted(GOES_WITH))
def test_a_parameter_without_effect_is_refused(name: str) -> None:
    other, value = GOES_WITH[name]
    with pytest.raises(UsageError, match=f"--param {name} does nothing without --param {other}="):
        check_effect({name: 0.1}, "binary")
    check_effect({name: 0.1, other: value}, "binary")


@pytest.mark.parametrize("name", OF_TWO_CLASSES)
def test_a_parameter_of_two_classes_is_refused_elsewhere(name: str) -> None:
    with pytest.raises(UsageError, match="goes with the objective binary"):
        check_effect({name: 1}, "regression")
    check_effect({name: 1}, "binary")


@pytest.mark.parametrize(
    "given", ["learning_rat=0.1", "num_iterations=0", "learning_rate=fast", "objective=binary"]
)
def test_a_wrong_parameter_is_a_usage_error_before_anything_is_read(
    given: str, tmp_path: Path
) -> None:
    """No repo, no data: the parameters come first."""
    command = [sys.executable, "-m", "cli.main", "train", "anything", "--param", given]
    environment = {**os.environ, "POTLUCK_HOME": str(tmp_path)}
    told = warm_python.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert told.returncode == 2
    assert told.stderr.startswith("potluck: ")
    assert "Traceback" not in told.stderr
