"""What the signature of a model promises to others who load it."""

from typing import Any

import pytest
from mlflow.types import ColSpec, DataType

from potluck.contract.features import FeatureContract
from training.flavor import output_columns


def contract(objective: Any, classes: tuple[Any, ...] = ()) -> FeatureContract:
    return FeatureContract(
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
        classes=classes,
    )


def test_a_regression_gives_one_number() -> None:
    assert output_columns(contract("regression")) == [ColSpec(DataType.double, "prediction")]


@pytest.mark.parametrize(
    ("classes", "kind"),
    [
        (("no", "yes"), DataType.string),
        ((0, 1), DataType.long),
        ((False, True), DataType.boolean),
        ((0.5, 1.5), DataType.double),
    ],
)
def test_classes_come_in_their_own_type_with_a_probability_each(
    classes: tuple[Any, ...], kind: DataType
) -> None:
    label, *shares = output_columns(contract("binary", classes))
    assert label == ColSpec(kind, "prediction")
    assert [share.type for share in shares] == [DataType.double] * 2
    assert len({share.name for share in shares}) == 2
