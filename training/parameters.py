"""LightGBM's parameters as `--param` gives them: names resolved, values read, the rest refused.

LightGBM itself accepts any name without a warning, ignores an alias beside the name that it stands
for, and reads a value of a wrong kind as another value. So `TUNABLE` says what may be given, and
every name is turned into LightGBM's own before anything is trained or recorded.
"""

import ctypes
import difflib
import json
from collections.abc import Iterable, Mapping
from functools import cache

from potluck.contract.errors import UsageError
from potluck.contract.features import Objective
from potluck.scoring.lightgbm_library import call
from training.parameter_kinds import (
    ANY,
    SHARE,
    WEIGHT,
    Kind,
    Value,
    boolean_kind,
    choice_kind,
    integer_kind,
    number_kind,
)

Parameters = Mapping[str, Value]

ALIAS_BYTES = 1 << 20


TUNABLE: Mapping[str, Kind] = {
    "bagging_fraction": SHARE,
    "bagging_freq": integer_kind(0),
    "bin_construct_sample_cnt": integer_kind(1),
    "boost_from_average": boolean_kind(),
    "boosting": choice_kind(
        "gbdt", "dart"
    ),  # rf averages its trees, and no raw score of it is a sum
    "cat_l2": WEIGHT,
    "cat_smooth": WEIGHT,
    "cegb_penalty_split": WEIGHT,
    "cegb_tradeoff": WEIGHT,
    "data_sample_strategy": choice_kind("bagging", "goss"),
    "drop_rate": number_kind(0, 1),
    "enable_bundle": boolean_kind(),
    "extra_trees": boolean_kind(),
    "feature_fraction": SHARE,
    "feature_fraction_bynode": SHARE,
    "is_unbalance": boolean_kind(),
    "lambda_l1": WEIGHT,
    "lambda_l2": WEIGHT,
    "learning_rate": number_kind(0, open_below=True),
    "linear_lambda": WEIGHT,
    "linear_tree": boolean_kind(),
    "max_bin": integer_kind(2),
    "max_cat_threshold": integer_kind(1),
    "max_cat_to_onehot": integer_kind(1),
    "max_delta_step": number_kind(ANY),
    "max_depth": integer_kind(-1),
    "max_drop": integer_kind(-1),
    "min_data_in_bin": integer_kind(1),
    "min_data_in_leaf": integer_kind(0),
    "min_data_per_group": integer_kind(1),
    "min_gain_to_split": WEIGHT,
    "min_sum_hessian_in_leaf": WEIGHT,
    "neg_bagging_fraction": SHARE,
    "num_iterations": integer_kind(1),
    "num_leaves": integer_kind(2, 131_072),
    "other_rate": number_kind(0, 1),
    "path_smooth": WEIGHT,
    "pos_bagging_fraction": SHARE,
    "scale_pos_weight": number_kind(0, open_below=True),
    "skip_drop": number_kind(0, 1),
    "top_rate": number_kind(0, 1),
    "uniform_drop": boolean_kind(),
    "use_missing": boolean_kind(),
    "xgboost_dart_mode": boolean_kind(),
    "zero_as_missing": boolean_kind(),
}
"""Parameters that change how a model is learnt, and do not change what its output means."""

GOES_WITH: Mapping[str, tuple[str, Value]] = {
    **dict.fromkeys(
        ("drop_rate", "max_drop", "skip_drop", "uniform_drop", "xgboost_dart_mode"),
        ("boosting", "dart"),
    ),
    **dict.fromkeys(("top_rate", "other_rate"), ("data_sample_strategy", "goss")),
    "linear_lambda": ("linear_tree", True),
}
"""Parameters that have an effect only with this value of another parameter."""

OF_TWO_CLASSES = (
    "is_unbalance",
    "scale_pos_weight",
    "pos_bagging_fraction",
    "neg_bagging_fraction",
)

SEEDS = (
    "seed",
    "data_random_seed",
    "bagging_seed",
    "feature_fraction_seed",
    "extra_seed",
    "drop_seed",
)
DECIDED: Mapping[str, str] = {
    **dict.fromkeys(SEEDS, "--seed gives every random choice its seed"),
    "objective_seed": "--seed gives every random choice its seed",
    "objective": "the tag objective of the feature service says it",
    "num_class": "the labels say it",
    "categorical_feature": "text, and the tag categorical, make a column a category",
    "label_column": "the tag label of the feature service says it",
    "metric": "Potluck reports the metrics of the objective",
    "early_stopping_round": (
        "Potluck chooses num_iterations on rows that it holds back; give num_iterations to fix it"
    ),
    "deterministic": "the same data and seed always give the same model",
    "verbosity": "POTLUCK_LOG_LEVEL says how much is told",
    "num_threads": "Potluck chooses it by the number of rows; it changes no bit of the model",
    "sigmoid": "the probabilities are those of the plain sigmoid",
    "monotone_constraints": "LightGBM ends the whole process where one touches a category",
    "reg_sqrt": (
        "the tag transform of the feature service says in which space a regression is fitted"
    ),
}
"""Parameters that Potluck sets itself -> what decides them."""


def read_parameters(given: Iterable[tuple[str, Value]]) -> dict[str, Value]:
    """Resolve names and read values.

    Returns:
        LightGBM's own name -> value.

    Raises:
        UsageError: a name is unknown, not to be given or given twice, or its value is of a wrong
            kind.
    """
    found: dict[str, Value] = {}
    said: dict[str, str] = {}
    for name, value in given:
        own = own_name(name)
        if own in said:
            raise UsageError(
                f"--param gives {own} twice, as {said[own]} and as {name}; give it once"
            )
        said[own] = name
        found[own] = read_value(name, own, value)
    return found


def check_effect(parameters: Parameters, objective: Objective) -> None:
    """Refuse parameters that would have no effect, and would be recorded all the same.

    Raises:
        UsageError: there is one.
    """
    for name in parameters:
        other, value = GOES_WITH.get(name, ("", ""))
        if other and parameters.get(other) != value:
            raise UsageError(
                f"--param {name} does nothing without --param {other}={str(value).lower()}"
            )
        if name in OF_TWO_CLASSES and objective != "binary":
            raise UsageError(
                f"--param {name} goes with the objective binary; this service's is {objective}"
            )


def own_name(name: str) -> str:
    """Find LightGBM's own name of a parameter.

    Raises:
        UsageError: LightGBM does not know it, or it must not be given.
    """
    own = aliases().get(name)
    if own is None:
        raise unknown_parameter(name)
    if own in TUNABLE:
        return own
    called = name if name == own else f"{name} ({own})"
    reason = DECIDED.get(own, "it is for other uses of LightGBM")
    raise UsageError(f"--param can't give {called}: {reason}")


def unknown_parameter(name: str) -> UsageError:
    allowed = [alias for alias, own in aliases().items() if own in TUNABLE]
    near = difflib.get_close_matches(name, allowed, 1)
    hint = f"did you mean {near[0]}?" if near else f"Potluck takes {', '.join(TUNABLE)}"
    return UsageError(f"LightGBM has no parameter {name}; {hint}")


def read_value(name: str, own: str, value: Value) -> Value:
    kind = TUNABLE[own]
    text = str(value)
    try:
        return kind.read(text)
    except ValueError:
        raise UsageError(f"--param {name}: expected {kind.expected}, got {text!r}") from None


@cache
def aliases() -> dict[str, str]:
    """Ask the installed LightGBM for every name that it knows -> its own name for it."""
    text = ctypes.create_string_buffer(ALIAS_BYTES)
    length = ctypes.c_int64()
    call("LGBM_DumpParamAliases", ctypes.c_int64(ALIAS_BYTES), ctypes.byref(length), text)
    known: dict[str, list[str]] = json.loads(text.value)
    found = {}
    for own, others in known.items():
        found.update(dict.fromkeys((own, *others), own))
    return found
