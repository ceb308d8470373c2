"""A small shop: bundles with every kind of column, made anew for each test that harms one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from potluck.contract.features import Column, FeatureContract, OnDemandFunction
from potluck.contract.fields import Field
from potluck.scoring.bundle import write_bundle
from potluck.scoring.functions import load_functions
from potluck.scoring.golden import golden_rows
from potluck.scoring.model import Model
from potluck.scoring.rows import RowBuilder

ROWS, GOLDEN_ROWS = 400, 32
START = datetime(2010, 1, 31, 12, tzinfo=UTC)

FUNCTIONS = '''
def pass_through(inputs):
    """The request's own fields as columns."""
    names = ("weight", "quantity", "colour", "fresh", "month")
    return {name: inputs[name] for name in names}


def share(inputs):
    pairs = zip(inputs["weight"], inputs["stock"])
    return {"weight_per_stock": [None if None in pair or not pair[1] else pair[0] / pair[1] for pair in pairs]}
'''

REQUEST = (
    Field("weight", "float64", "request", required=True),
    Field("quantity", "int64", "request", default=1),
    Field("colour", "string", "request", default="red"),
    Field("fresh", "bool", "request"),
    Field("month", "int64", "request", default="request_time.month"),
)
STOCK = Field("stock", "float64", "online")
SHARE = Field("weight_per_stock", "float64", "on-demand")

CONTRACT = FeatureContract(
    project="shop",
    service="price",
    objective="regression",
    transform="log",
    label_source="sales",
    label="price",
    keys=(),
    request=REQUEST,
    online=(STOCK,),
    views=(),
    functions=(
        OnDemandFunction(
            "pass_through",
            tuple(field.name for field in REQUEST),
            tuple(
                replace(field, source="on-demand", default=None, required=False)
                for field in REQUEST
            ),
        ),
        OnDemandFunction("share", ("weight", "stock"), (SHARE,)),
    ),
    columns=(
        Column("stock", "float64", "online", fill=50.0),
        Column("weight", "float64", "on-demand"),
        Column("quantity", "int64", "on-demand"),
        Column(
            "colour", "string", "on-demand", categorical=True, vocabulary=("blue", "green", "red")
        ),
        Column("fresh", "bool", "on-demand"),
        Column("month", "int64", "on-demand"),
        Column("weight_per_stock", "float64", "on-demand"),
    ),
)

Inputs = Mapping[str, Sequence[Any]]


def shop_inputs(rows: int, seed: int) -> dict[str, list[Any]]:
    """Inputs with missing values in each column that may miss one."""
    random = np.random.default_rng(seed)

    def some(values: list[Any]) -> list[Any]:
        return [
            None if missing else value
            for value, missing in zip(values, random.random(rows) < 0.1, strict=True)
        ]

    return {
        "weight": random.gamma(2.0, 3.0, rows).tolist(),
        "quantity": some(random.integers(1, 9, rows).tolist()),
        "colour": some(random.choice(["blue", "green", "red"], rows).tolist()),
        "fresh": some(random.choice([True, False], rows).tolist()),
        "month": some(random.integers(1, 13, rows).tolist()),
        "stock": random.integers(1, 99, rows).astype(float).tolist(),
    }


def moments(rows: int) -> list[datetime]:
    return [START + timedelta(days=31 * row) for row in range(rows)]


@dataclass(frozen=True)
class Parts:
    """What a bundle is made of."""

    contract: FeatureContract
    functions_source: str
    model_text: bytes
    inputs: Inputs
    times: list[datetime]

    def open(self) -> Model:
        return Model(self.contract, self.functions_source, self.model_text)

    def golden(self) -> bytes:
        return golden_rows(self.open(), self.inputs, self.times)

    def write(self, folder: Path, golden: bytes | None = None) -> str:
        """Write a bundle and answer its digest; `golden` replaces what the model itself says."""
        given = self.golden() if golden is None else golden
        return write_bundle(folder, self.contract, self.functions_source, self.model_text, given)


@pytest.fixture(scope="session")
def parts() -> Parts:
    """A model of the log price, fitted on 400 rows of the shop."""
    inputs, times = shop_inputs(ROWS, seed=1), moments(ROWS)
    matrix = RowBuilder(CONTRACT, load_functions(FUNCTIONS, CONTRACT)).build(inputs, times).matrix
    random = np.random.default_rng(2)
    label = 3 + 0.1 * matrix[:, 1] + 0.3 * np.nan_to_num(matrix[:, 3]) + random.normal(0, 0.1, ROWS)
    parameters = {
        "objective": "regression",
        "num_leaves": 7,
        "min_data_in_leaf": 5,
        "verbosity": -1,
        "num_threads": 1,
    }
    data = lightgbm.Dataset(matrix, label, categorical_feature=[3], params={"verbosity": -1})
    booster = lightgbm.train({**parameters, "seed": 0}, data, num_boost_round=12)
    first = {name: values[:GOLDEN_ROWS] for name, values in inputs.items()}
    return Parts(
        CONTRACT, FUNCTIONS, booster.model_to_string().encode(), first, times[:GOLDEN_ROWS]
    )


@pytest.fixture(scope="session")
def model(parts: Parts) -> Model:
    return parts.open()


@pytest.fixture
def bundle(parts: Parts, tmp_path: Path) -> Path:
    """A whole bundle in a folder of this test."""
    parts.write(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture(scope="session")
def make_inputs() -> Callable[[int, int], dict[str, list[Any]]]:
    """Inputs of the shop: (rows, seed) -> columns."""
    return shop_inputs


@pytest.fixture(scope="session")
def make_times() -> Callable[[int], list[datetime]]:
    """As many request times, a month apart."""
    return moments
