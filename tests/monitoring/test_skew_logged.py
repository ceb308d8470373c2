"""The logged side of skew: what is not kept as it was is no value."""

from typing import Any

from monitoring.decode.personal import Personal
from monitoring.skew.definitions import Changes
from monitoring.skew.logged import LoggedColumns, with_offline_values
from monitoring.skew.output_values import OutputComparison
from potluck.contract.features import FeatureContract, OnDemandFunction
from potluck.contract.fields import Field

WANTED, SIZE = Field("wanted", "int64", "request"), Field("size", "float64", "online")
TYPES = {"request_wanted": "BIGINT", "online_size": "DOUBLE"}
HASHED: dict[str, Any] = {
    "request_wanted": "ab12ab12",
    "online_size": 1.5,
    "overridden": [],
}


def contract() -> FeatureContract:
    return FeatureContract(
        project="shops",
        service="shop",
        objective="regression",
        transform="identity",
        label_source="sales",
        label="amount",
        keys=(),
        request=(WANTED,),
        online=(SIZE,),
        views=(),
        functions=(),
        columns=(),
    )


def hashing(*fields: str) -> LoggedColumns:
    return LoggedColumns(Personal((), fields, b"salt"), TYPES, contract())


def test_a_hash_is_no_input_of_a_function() -> None:
    (row,) = with_offline_values([HASHED], {"size": [2.5]}, hashing("wanted"))
    assert (row["request_wanted"], row["online_size"]) == (None, 2.5)
    assert HASHED["request_wanted"] == "ab12ab12"
    (row,) = with_offline_values([{**HASHED, "request_wanted": 3}], {}, hashing())
    assert (row["request_wanted"], row["online_size"]) == (3, 1.5)


def test_a_number_that_was_hashed_under_earlier_settings_is_not_held() -> None:
    earlier = {**TYPES, "request_wanted": "VARCHAR"}
    logged = LoggedColumns(Personal((), (), b""), earlier, contract())
    assert (logged.holds("request", "wanted"), logged.holds("online", "size")) == (False, True)


def causes(logged: LoggedColumns, found: Any, **row: Any) -> Any:
    function = OnDemandFunction("load", ("wanted", "size"), ())
    comparison = OutputComparison(logged, Changes(frozenset({"wanted"}), frozenset()))
    return comparison.causes_of([{**HASHED, **row}], function, {"size": [found]})


def test_an_output_of_an_input_that_is_not_kept_is_left_out() -> None:
    assert causes(hashing("wanted"), "equal") == [None]
    assert causes(hashing("size"), "equal", overridden=["size"]) == [None]
    assert causes(hashing(), None) == [None]


def test_an_output_takes_the_first_cause_of_its_inputs() -> None:
    assert causes(hashing(), "equal", request_wanted=3) == ["equal"]
    assert causes(hashing(), "late data", request_wanted=3) == ["late data"]
    assert causes(hashing(), "late data", request_wanted=3, overridden=["size"]) == ["equal"]
    assert causes(hashing(), "late data", request_wanted=None) == ["changed definition"]
