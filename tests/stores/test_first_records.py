"""What an unknown entity means to a service that looks it up in several views."""

import pytest

from potluck.contract.features import FeatureContract, LookupView, UnknownPolicy
from potluck.stores.parquet.first_records import policy_of_keys

SHOP, TOWN = ("shop",), ("town",)


def view(keys: tuple[str, ...], unknown: UnknownPolicy) -> LookupView:
    return LookupView(f"{keys[0]}_{unknown}", keys, (), (), 0, unknown)


def contract(*views: LookupView) -> FeatureContract:
    return FeatureContract(
        project="p",
        service="s",
        objective="regression",
        transform="identity",
        label_source="labels",
        label="y",
        keys=(),
        request=(),
        online=(),
        views=views,
        functions=(),
        columns=(),
    )


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (("refuse",), "refuse"),
        (("missing",), "missing"),
        (("missing", "refuse"), "refuse"),
        (("missing", "missing"), "missing"),
    ],
)
def test_one_view_that_refuses_is_enough(
    policies: tuple[UnknownPolicy, ...], expected: str
) -> None:
    views = [view(SHOP, policy) for policy in policies]
    assert policy_of_keys(contract(*views), SHOP) == expected


def test_views_over_other_keys_do_not_count() -> None:
    found = contract(view(SHOP, "missing"), view(TOWN, "refuse"))
    assert policy_of_keys(found, SHOP) == "missing"
    assert policy_of_keys(found, TOWN) == "refuse"
