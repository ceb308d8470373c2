"""Rows that hold one class only are refused before a model is fitted to them."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from potluck.contract.errors import DataError
from potluck.contract.features import FeatureContract
from potluck.stores.parquet.offline_reads import Inputs
from training.dataset import Dataset
from training.measure import check_classes


def contract(objective: Any) -> FeatureContract:
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
    )


def labelled(*labels: Any) -> Dataset:
    rows = pa.table({"shop": list(range(len(labels)))})
    times = [datetime(2024, 1, 1, tzinfo=UTC)] * len(labels)
    return Dataset(Inputs(rows, times, {}, rows), list(labels), rows, "0" * 64)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("time", "all 3 earlier rows of labels have the y 'no', .* --split random"),
        ("random", "all 3 learning rows of labels have the y 'no', .* another --seed"),
    ],
)
def test_one_class_to_learn_from_is_refused_with_the_way_out(kind: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        check_classes(contract("binary"), labelled("no", "no", "no"), kind)


def test_two_classes_and_equal_amounts_may_be_learnt_from() -> None:
    check_classes(contract("binary"), labelled("no", "yes", "no"), "time")
    check_classes(contract("regression"), labelled(1.0, 1.0), "time")
