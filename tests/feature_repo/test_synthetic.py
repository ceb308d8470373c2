"""Synthetic houses: the same by seed, without contradiction, and worth learning from."""

import importlib.util
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

REPO = Path(__file__).resolve().parents[2] / "feature_repo"
ROWS = 3000
LISTED = ["LotArea", "LotFrontage", "YearBuilt", "YrSold", "MoSold", "MSSubClass", "OverallCond"]
RECORDED = ["OverallQual", "GrLivArea", "GarageCars", "TotalBsmtSF", "FullBath", "YearRemodAdd"]


@pytest.fixture(scope="module")
def synthetic() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(REPO)
        spec = importlib.util.spec_from_file_location("potluck_synthetic", REPO / "synthetic.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


@pytest.fixture(scope="module")
def table(synthetic: Any) -> pa.Table:
    return synthetic.houses(ROWS, 7)


@pytest.fixture(scope="module")
def houses(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas()


def test_the_same_rows_and_seed_give_the_same_houses(synthetic: Any, table: pa.Table) -> None:
    assert synthetic.houses(ROWS, 7).equals(table)


def test_another_seed_gives_other_houses(synthetic: Any, table: pa.Table) -> None:
    assert not synthetic.houses(ROWS, 8).equals(table)


@pytest.mark.parametrize("rows", [1, 2, 17])
def test_as_many_houses_come_as_asked_for_with_ids_of_their_own(synthetic: Any, rows: int) -> None:
    houses = synthetic.houses(rows, 7)
    assert houses.num_columns == 81
    assert houses["Id"].to_pylist() == list(range(1, rows + 1))


def test_sales_run_from_january_2006_to_july_2010(houses: pd.DataFrame) -> None:
    months = houses.YrSold * 100 + houses.MoSold
    assert (months.min(), months.max()) == (200601, 201007)
    assert set(houses.MoSold) == set(range(1, 13))


def test_nothing_is_built_after_its_sale(houses: pd.DataFrame) -> None:
    assert (houses.YearBuilt <= houses.YrSold).all()
    assert (houses.YearRemodAdd.between(1950, houses.YrSold)).all()
    garages = houses.GarageYrBlt.dropna()
    assert garages.between(houses.YearBuilt[garages.index], houses.YrSold[garages.index]).all()


def test_areas_add_up(houses: pd.DataFrame) -> None:
    assert (houses["1stFlrSF"] + houses["2ndFlrSF"] + houses.LowQualFinSF == houses.GrLivArea).all()
    assert (houses.BsmtFinSF1 + houses.BsmtFinSF2 + houses.BsmtUnfSF == houses.TotalBsmtSF).all()
    areas = houses[["1stFlrSF", "2ndFlrSF", "BsmtFinSF1", "BsmtFinSF2", "BsmtUnfSF", "GarageArea"]]
    assert (areas >= 0).all().all()


@pytest.mark.parametrize(
    ("size", "kinds"),
    [
        ("GarageCars", ["GarageType", "GarageFinish", "GarageQual", "GarageCond"]),
        ("GarageArea", ["GarageType"]),
        ("TotalBsmtSF", ["BsmtQual", "BsmtCond", "BsmtExposure", "BsmtFinType1", "BsmtFinType2"]),
        ("Fireplaces", ["FireplaceQu"]),
        ("PoolArea", ["PoolQC"]),
        ("MiscVal", ["MiscFeature"]),
    ],
)
def test_what_a_house_has_not_is_none_in_every_column(
    houses: pd.DataFrame, size: str, kinds: list[str]
) -> None:
    absent = houses[size] == 0
    assert 0 < absent.sum() < ROWS
    for kind in kinds:
        assert ((houses[kind] == "None") == absent).all(), kind


def test_only_houses_without_a_garage_lack_its_year(houses: pd.DataFrame) -> None:
    assert (houses.GarageYrBlt.isna() == (houses.GarageCars == 0)).all()


def test_values_are_missing_where_kaggle_misses_them_and_nowhere_else(
    synthetic: Any, table: pa.Table
) -> None:
    missing = {name for name in table.column_names if table[name].null_count}
    assert {"LotFrontage", "MasVnrType", "MasVnrArea", "GarageYrBlt"} <= missing
    assert missing <= {"MasVnrType", "MasVnrArea", "GarageYrBlt", *synthetic.UNKNOWN}


def test_bigger_newer_and_better_go_together(houses: pd.DataFrame) -> None:
    together = houses[
        ["GrLivArea", "TotRmsAbvGrd", "OverallQual", "YearBuilt", "GarageCars", "SalePrice"]
    ].corr()
    assert together.GrLivArea.TotRmsAbvGrd > 0.6
    assert together.OverallQual.YearBuilt > 0.4
    assert together.GarageCars.OverallQual > 0.4
    assert together.SalePrice.OverallQual > 0.6


def test_prices_look_like_those_of_ames(houses: pd.DataFrame) -> None:
    assert 150_000 < houses.SalePrice.median() < 180_000
    assert 0.3 < np.log(houses.SalePrice).std() < 0.5
    assert (houses.SalePrice > 0).all()


def test_the_record_explains_what_the_listing_cannot(houses: pd.DataFrame) -> None:
    realtime, hybrid = (log_error(houses, [*LISTED, *more]) for more in ([], RECORDED))
    assert hybrid < 0.75 * realtime
    assert hybrid < 0.2


def log_error(houses: pd.DataFrame, columns: list[str]) -> float:
    """RMSE of the log price on the last third: the model knows columns and neighbourhood."""
    features = houses[columns].assign(hood=houses.Neighborhood.astype("category"))
    price, cut = np.log(houses.SalePrice), 2 * ROWS // 3
    data = lightgbm.Dataset(features[:cut], price[:cut])
    model = lightgbm.train(
        {"verbosity": -1, "num_threads": 1, "num_leaves": 15}, data, num_boost_round=120
    )
    return float(np.sqrt(np.mean((np.asarray(model.predict(features[cut:])) - price[cut:]) ** 2)))
