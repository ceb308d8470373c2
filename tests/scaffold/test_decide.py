"""What `init` decides: label, key, time, who brings which column, and what is left out."""

import math
import random
import re
from typing import Any

import pytest

from potluck.contract.errors import DataError, UsageError
from scaffold.plan import RepoPlan

ROWS = 200
DRAW = random.Random(0)
NOISE = [DRAW.random() for _ in range(ROWS)]
OTHER = [DRAW.choice("abc") for _ in range(ROWS)]
COIN = [DRAW.choice(["yes", "no"]) for _ in range(ROWS)]
AMOUNT = [round(20 + 5 * DRAW.gauss(0, 1), 2) for _ in range(ROWS)]
PLAIN = {"x": NOISE, "z": OTHER, "y": COIN}


def roles(plan: RepoPlan) -> dict[str, str]:
    return {choice.name: choice.role for choice in plan.choices}


def reason(plan: RepoPlan, name: str) -> str:
    return next(choice.reason for choice in plan.choices if choice.name == name)


def test_without_id_and_date_rows_are_numbered_dated_alike_and_split_at_random(make: Any) -> None:
    plan = make(PLAIN)
    assert (plan.key.name, plan.key.header, plan.time, plan.split) == (
        "row_id",
        None,
        None,
        "random",
    )
    assert roles(plan) == {"x": "request", "z": "record", "y": "label"}
    told = " ".join(plan.notes)
    assert all(
        word in told for word in ("numbered", "--key", "dated alike", "at random", "--request")
    )


def test_an_id_that_no_row_shares_is_taken_and_one_that_repeats_is_told(make: Any) -> None:
    assert make({"house_id": range(ROWS), **PLAIN}).key.name == "house_id"
    repeated = make({"customer_id": [n % 40 for n in range(ROWS)], **PLAIN})
    assert repeated.key.name == "row_id"
    assert any("--key customer_id" in note for note in repeated.notes)


def test_what_changes_within_an_id_is_requested_and_what_stays_is_on_record(make: Any) -> None:
    owners = [n % 40 for n in range(ROWS)]
    plan = make(
        {"customer": owners, "city": ["abcd"[n % 4] for n in owners], **PLAIN}, key="customer"
    )
    assert roles(plan) == {
        "customer": "key",
        "city": "record",
        "x": "request",
        "z": "request",
        "y": "label",
    }
    assert plan.split == "key"
    assert plan.identity == ("customer", "x", "z")


def test_request_columns_are_those_that_somebody_names(make: Any) -> None:
    assert roles(make(PLAIN, request=("z",))) == {"x": "record", "z": "request", "y": "label"}


@pytest.mark.parametrize(
    ("wishes", "flag"),
    [
        ({"request": ("x", "z")}, "--request names every column"),
        ({"request": ("y",)}, "--request: y is the label"),
        ({"request": ("nope",)}, "--request: expected a column of the file, got 'nope'"),
        ({"label": "Y"}, "--label: expected a column of the file, got 'Y'"),
        ({"key": "x"}, "--key: expected integers or text, x holds float64"),
        ({"key": "y"}, "--key: expected another column than the label"),
        ({"time": "y"}, "--time y: found no way of writing dates"),
        ({"label": None}, "--label: x, z, y"),
        ({"objective": "regression"}, "--objective regression needs numbers"),
        ({"label": "z", "objective": "binary"}, "--objective binary needs two classes; z holds 3"),
    ],
)
def test_a_wrong_flag_is_named(make: Any, wishes: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        make(PLAIN, **wishes)


def test_of_two_dates_somebody_says_which_is_the_time(make: Any) -> None:
    dates = [f"2024-{1 + n % 12:02d}-15" for n in range(ROWS)]
    with pytest.raises(UsageError, match="--time: sold, born, none"):
        make({"sold": dates, "born": dates, **PLAIN})
    plan = make({"sold": dates, "born": dates, **PLAIN}, time="sold")
    assert (roles(plan)["sold"], roles(plan)["born"], plan.split) == ("time", "left out", "time")


def test_the_only_date_is_the_time_and_the_flag_that_says_otherwise_is_told(make: Any) -> None:
    plan = make({"sold": [f"19{39 + n % 60}-01-15" for n in range(ROWS)], **PLAIN})
    assert roles(plan)["sold"] == "time"
    assert any("--time none" in note for note in plan.notes)


def test_day_or_month_first_is_not_guessed_for_the_time(make: Any) -> None:
    dates = [f"0{1 + n % 9}/0{1 + n % 7}/2024" for n in range(ROWS)]
    with pytest.raises(UsageError, match="--date-format: %d/%m/%Y, %m/%d/%Y"):
        make({"sold": dates, **PLAIN})


def test_dates_that_are_all_the_same_split_nothing(make: Any) -> None:
    assert make({"seen": ["2024-01-15"] * ROWS, **PLAIN}).split == "random"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["same"] * ROWS, "constant"),
        ([""] * ROWS, "empty"),
        ([f"text {n}" for n in range(ROWS)], "free text, or an id: 200 different texts"),
        (["1"] + [""] * (ROWS - 1), "nearly empty: 1 of 200"),
        ([f"{2000 + n // 12}-{1 + n % 12:02d}-01" for n in range(ROWS)], "a day or time"),
        (COIN, r"tells y by itself \(100.0%\)"),
        ([{"yes": 1, "no": 0}[coin] for coin in COIN], "tells y by itself"),
        (["2024" if coin == "yes" else "" for coin in COIN], "tells y by itself"),
        ([n / 100 + (coin == "yes") * 10 for n, coin in enumerate(COIN)], "tells y by itself"),
    ],
)
def test_a_column_that_teaches_nothing_is_left_out_and_told(
    make: Any, cells: list[Any], told: str
) -> None:
    plan = make({"odd": cells, **PLAIN}, key="none", time="none")
    assert roles(plan)["odd"] == "left out"
    assert re.search(told, reason(plan, "odd"))


def test_somebody_may_keep_what_looks_like_a_leak_or_text(make: Any) -> None:
    columns = {"copy": COIN, "text": [f"text {n}" for n in range(ROWS)], **PLAIN}
    plan = make(columns, keep=("copy", "text"))
    assert {roles(plan)["copy"], roles(plan)["text"]} <= {"request", "record"}
    assert "kept, though" in reason(plan, "copy")


def test_dropped_columns_stay_out(make: Any) -> None:
    plan = make({"w": NOISE[::-1], **PLAIN}, drop=("x",))
    assert (roles(plan)["x"], reason(plan, "x")) == ("left out", "--drop")


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v,
        lambda v: 1.2 * v + 3,
        lambda v: math.log(v),
        lambda v: -v,
        lambda v: int(100 * v),
    ],
)
def test_a_transform_of_an_amount_is_a_leak(make: Any, change: Any) -> None:
    plan = make({"x": NOISE, "z": OTHER, "copy": [change(value) for value in AMOUNT], "y": AMOUNT})
    assert roles(plan)["copy"] == "left out"


def test_a_good_feature_is_no_leak(make: Any) -> None:
    noisy = [value + DRAW.gauss(0, 2) for value in AMOUNT]
    coins = [coin if DRAW.random() < 0.95 else "yes" for coin in COIN]
    assert roles(make({"noisy": noisy, "z": OTHER, "y": AMOUNT}))["noisy"] != "left out"
    assert roles(make({"close": coins, "z": OTHER, "y": COIN}))["close"] != "left out"


def test_a_rare_class_is_recognised_before_a_column_is_called_a_leak(make: Any) -> None:
    """One in forty: always saying no is right in 97.5 % of the rows, and no column leaks that."""
    rare = ["yes" if n % 40 == 0 else "no" for n in range(2 * ROWS)]
    assert roles(make({"x": NOISE * 2, "z": OTHER * 2, "y": rare}))["z"] != "left out"


@pytest.mark.parametrize(
    ("cells", "objective", "transform"),
    [
        (COIN, "binary", "identity"),
        ([n % 2 for n in range(ROWS)], "binary", "identity"),
        ([["0.5", "1.5"][n % 2] for n in range(ROWS)], "binary", "identity"),
        (["abcdefghijklmnopqrstuvwx"[n % 24] for n in range(ROWS)], "multiclass", "identity"),
        ([n % 5 for n in range(ROWS)], "multiclass", "identity"),
        ([n * 7 % 199 for n in range(ROWS)], "regression", "identity"),
        (AMOUNT, "regression", "identity"),
        ([math.exp(value / 5) for value in AMOUNT], "regression", "log"),
        (
            [math.exp(value / 5) * (n > 0) for n, value in enumerate(AMOUNT)],
            "regression",
            "identity",
        ),
    ],
)
def test_the_objective_follows_from_the_label(
    make: Any, cells: list[Any], objective: str, transform: str
) -> None:
    plan = make({"x": NOISE, "z": OTHER, "y": cells})
    assert (plan.objective, plan.transform) == (objective, transform)
    assert plan.label_dtype == (
        "float64" if objective == "regression" else plan.label.profile.dtype
    )
    assert (objective == "regression") == (plan.label_dtype == "float64")


def test_integers_that_may_be_classes_or_amounts_are_told(make: Any) -> None:
    stars = {"x": NOISE, "z": OTHER, "y": [n % 5 for n in range(ROWS)]}
    assert any("--objective regression" in note for note in make(stars).notes)
    assert make(stars, objective="regression").objective == "regression"


def test_rare_classes_and_rows_without_a_label_are_told(make: Any) -> None:
    cells = ["rare"] * 3 + [""] * 4 + COIN[7:]
    notes = " ".join(make({"x": NOISE, "z": OTHER, "y": cells}).notes)
    assert "4 rows have no y" in notes
    assert "(rare 3)" in notes


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"x": NOISE, "y": COIN}, "expected at least 2 columns to learn from.*got 1"),
        ({"x": NOISE, "z": OTHER, "y": ["yes"] * ROWS}, "y is always 'yes'"),
        (
            {"x": NOISE, "z": OTHER, "y": ["yes", "no"] * 5 + [""] * (ROWS - 10)},
            "at least 20 rows with y, got 10",
        ),
        (
            {"x": NOISE * 2, "z": OTHER * 2, "y": [f"text {n}" for n in range(2 * ROWS)]},
            "holds 400 different texts",
        ),
    ],
)
def test_a_table_that_can_not_make_three_services_is_refused(
    make: Any, columns: Any, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        make(columns)


def test_integers_that_are_codes_by_their_name_are_categories(make: Any) -> None:
    zones = [n % 12 for n in range(ROWS)]
    plan = make(
        {"zone_code": zones, "rooms": zones, "doors": zones, **PLAIN}, categorical=("doors",)
    )
    categorical = {choice.name for choice in plan.choices if choice.categorical}
    assert categorical == {"zone_code", "doors"}
