"""From Kaggle's files to sources: what NA means, how rows are dated, what is refused."""

import csv
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from potluck.contract.errors import DataError, UsageError
from potluck.stores.ingest.ingest_file import Ingest, load_ingest

ROOT = Path(__file__).resolve().parents[2]
REAL = Path(
    os.environ.get("POTLUCK_TEST_DATA", ROOT.parent / "shared" / "data" / "house_prices_train.csv")
)

# A house that nobody has, in Kaggle's columns.
HEADER = """
Id,MSSubClass,MSZoning,LotFrontage,LotArea,Street,Alley,LotShape,LandContour,Utilities,LotConfig,LandSlope,Neighborhood,
Condition1,Condition2,BldgType,HouseStyle,OverallQual,OverallCond,YearBuilt,YearRemodAdd,RoofStyle,RoofMatl,Exterior1st,
Exterior2nd,MasVnrType,MasVnrArea,ExterQual,ExterCond,Foundation,BsmtQual,BsmtCond,BsmtExposure,BsmtFinType1,BsmtFinSF1,
BsmtFinType2,BsmtFinSF2,BsmtUnfSF,TotalBsmtSF,Heating,HeatingQC,CentralAir,Electrical,1stFlrSF,2ndFlrSF,LowQualFinSF,
GrLivArea,BsmtFullBath,BsmtHalfBath,FullBath,HalfBath,BedroomAbvGr,KitchenAbvGr,KitchenQual,TotRmsAbvGrd,Functional,
Fireplaces,FireplaceQu,GarageType,GarageYrBlt,GarageFinish,GarageCars,GarageArea,GarageQual,GarageCond,PavedDrive,
WoodDeckSF,OpenPorchSF,EnclosedPorch,3SsnPorch,ScreenPorch,PoolArea,PoolQC,Fence,MiscFeature,MiscVal,MoSold,YrSold,
SaleType,SaleCondition,SalePrice
"""
CELLS = """
1,70,RM,61,7777,Pave,Grvl,IR1,Bnk,AllPub,Corner,Mod,BrkSide,
Feedr,Norm,1Fam,2Story,6,8,1931,1987,Gambrel,WdShake,Stucco,
Wd Shng,BrkCmn,33,TA,Gd,BrkTil,Fa,TA,Mn,Rec,301,
LwQ,102,403,806,GasW,Gd,N,FuseA,811,612,13,
1436,1,0,1,2,4,2,Fa,7,Min2,
3,Po,Detchd,1944,Unf,1,255,Fa,Po,P,
21,22,23,24,25,512,Gd,MnWw,Shed,450,2,2008,
COD,Family,123456
"""
HOUSE = dict(
    zip(HEADER.replace("\n", "").split(","), CELLS.replace("\n", "").split(","), strict=True)
)

NA_MEANS_NONE = (
    *("BsmtQual", "BsmtCond", "BsmtExposure", "BsmtFinType1", "BsmtFinType2"),
    *("GarageType", "GarageFinish", "GarageQual", "GarageCond"),
    *("Alley", "FireplaceQu", "PoolQC", "Fence", "MiscFeature"),
)
NA_MEANS_UNKNOWN = (
    *("LotFrontage", "MasVnrType", "MasVnrArea", "GarageYrBlt", "Electrical"),
    *("MSZoning", "Utilities", "Exterior1st", "Exterior2nd"),
    *("KitchenQual", "Functional", "SaleType"),
    *("BsmtFullBath", "BsmtHalfBath", "BsmtFinSF1", "TotalBsmtSF", "GarageCars", "GarageArea"),
)


@pytest.fixture(scope="module")
def ingest() -> Ingest:
    return load_ingest(ROOT / "feature_repo")


def write(path: Path, *changes: dict[str, str], without: Sequence[str] = ()) -> Path:
    """A file of Kaggle's columns: the house above, once for each set of changes."""
    rows = [
        {name: text for name, text in (HOUSE | change).items() if name not in without}
        for change in changes
    ]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows_of(sources: Mapping[str, Any], source: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sources[source].to_pylist()
    return rows


def everything(sources: Mapping[str, Any]) -> dict[str, Any]:
    """The first house, over all sources."""
    return rows_of(sources, "assessor")[0] | rows_of(sources, "listings")[0]


def refusal_of(ingest: Ingest, *paths: Path) -> str:
    with pytest.raises(DataError) as caught:
        ingest(paths, 0, 0)
    return str(caught.value)


def test_every_cell_arrives_as_written(ingest: Ingest, tmp_path: Path) -> None:
    sources = ingest([write(tmp_path / "train.csv", {})], 0, 0)
    house = everything(sources) | rows_of(sources, "sales")[0]
    for name, text in HOUSE.items():
        assert house[name] == (text if isinstance(house[name], str) else float(text)), name


def test_each_fact_stands_in_one_of_record_and_listing(ingest: Ingest, tmp_path: Path) -> None:
    sources = ingest([write(tmp_path / "train.csv", {})], 0, 0)
    assessor, listings, sales = (
        set(sources[name].schema.names) for name in ("assessor", "listings", "sales")
    )
    assert assessor & listings == {"Id", "event_timestamp"}
    assert assessor | listings == {*HOUSE, "event_timestamp"} - {"SalePrice"}
    assert sales == listings | {"SalePrice"}
    assert {"OverallQual", "GrLivArea", "GarageCars"} <= assessor
    assert {"LotArea", "Neighborhood", "YearBuilt", "YrSold", "MoSold"} <= listings


@pytest.mark.parametrize("column", NA_MEANS_NONE)
def test_na_is_a_category_where_it_means_none(ingest: Ingest, tmp_path: Path, column: str) -> None:
    house = everything(ingest([write(tmp_path / "train.csv", {column: "NA"})], 0, 0))
    assert house[column] == "None"


@pytest.mark.parametrize("column", NA_MEANS_UNKNOWN)
def test_na_is_missing_where_it_means_unknown(ingest: Ingest, tmp_path: Path, column: str) -> None:
    house = everything(ingest([write(tmp_path / "train.csv", {column: "NA"})], 0, 0))
    assert house[column] is None


def test_a_veneer_of_none_is_known(ingest: Ingest, tmp_path: Path) -> None:
    house = everything(ingest([write(tmp_path / "train.csv", {"MasVnrType": "None"})], 0, 0))
    assert house["MasVnrType"] == "None"


def test_an_empty_cell_is_missing_and_stray_spaces_are_cut(ingest: Ingest, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", {"Alley": "", "LotArea": " 8450 ", "Street": "Pave "})
    house = everything(ingest([path], 0, 0))
    assert (house["Alley"], house["LotArea"], house["Street"]) == (None, 8450, "Pave")


def test_integers_that_pandas_wrote_as_floats_are_read(ingest: Ingest, tmp_path: Path) -> None:
    path = write(tmp_path / "test.csv", {"GarageCars": "2.0", "BsmtFullBath": "1.0"})
    house = everything(ingest([path], 0, 0))
    assert (house["GarageCars"], house["BsmtFullBath"]) == (2, 1)


@pytest.mark.parametrize(
    ("built", "kept"), [("2207", None), ("2010", None), ("2009", 2009), ("1900", 1900)]
)
def test_a_garage_of_the_far_future_has_no_known_year(
    ingest: Ingest, tmp_path: Path, built: str, kept: int | None
) -> None:
    sources = ingest([write(tmp_path / "test.csv", {"GarageYrBlt": built, "YrSold": "2008"})], 0, 0)
    assert everything(sources)["GarageYrBlt"] == kept


def test_record_and_listing_are_dated_before_the_sale_and_within_its_month(
    ingest: Ingest, tmp_path: Path
) -> None:
    sources = ingest([write(tmp_path / "train.csv", {"YrSold": "2007", "MoSold": "12"})], 0, 0)
    times = {
        name: rows_of(sources, name)[0]["event_timestamp"]
        for name in ("assessor", "listings", "sales")
    }
    assert times["assessor"] == times["listings"] == datetime(2007, 12, 1, tzinfo=UTC)
    assert times["assessor"] < times["sales"] < datetime(2008, 1, 1, tzinfo=UTC)


def test_timestamps_are_microseconds_in_utc(ingest: Ingest) -> None:
    sources = ingest([], 5, 1)
    schemas = [
        source if isinstance(source, pa.Schema) else source.schema for source in sources.values()
    ]
    assert {schema.field("event_timestamp").type for schema in schemas} == {
        pa.timestamp("us", tz="UTC")
    }


def test_train_and_test_together_list_every_house_and_sell_the_labelled(
    ingest: Ingest, tmp_path: Path
) -> None:
    train = write(tmp_path / "train.csv", {"Id": "1"}, {"Id": "2"})
    test = write(tmp_path / "test.csv", {"Id": "3"}, without=["SalePrice"])
    for files in ([train, test], [test, train]):
        sources = ingest(files, 0, 0)
        assert {row["Id"] for row in rows_of(sources, "listings")} == {1, 2, 3}
        assert {row["Id"] for row in rows_of(sources, "assessor")} == {1, 2, 3}
        assert {row["Id"] for row in rows_of(sources, "sales")} == {1, 2}


def test_without_labels_sales_are_empty_and_keep_their_columns(
    ingest: Ingest, tmp_path: Path
) -> None:
    sales = ingest([write(tmp_path / "test.csv", {}, without=["SalePrice"])], 0, 0)["sales"]
    labelled = ingest([write(tmp_path / "train.csv", {})], 0, 0)["sales"]
    assert isinstance(sales, pa.Table)
    assert isinstance(labelled, pa.Table)
    assert sales.num_rows == 0
    assert sales.schema.equals(labelled.schema)


def test_a_house_without_a_price_is_listed_and_not_sold(ingest: Ingest, tmp_path: Path) -> None:
    sources = ingest(
        [write(tmp_path / "train.csv", {"Id": "1"}, {"Id": "2", "SalePrice": "NA"})], 0, 0
    )
    assert [row["Id"] for row in rows_of(sources, "sales")] == [1]
    assert [row["Id"] for row in rows_of(sources, "listings")] == [1, 2]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        *(("MoSold", text) for text in ("0", "13", "NA", "May")),
        *(("YrSold", text) for text in ("1066", "20008", "NA")),
        *(("SalePrice", text) for text in ("0", "-5", "much")),
        *(("Id", text) for text in ("NA", "one")),
        ("LotArea", "NA"),
        ("LotArea", "0"),
        ("OverallQual", "11"),
        ("GrLivArea", "-1"),
        ("Neighborhood", ""),
    ],
)
def test_a_wrong_cell_is_named_by_file_line_and_column(
    ingest: Ingest, tmp_path: Path, column: str, text: str
) -> None:
    path = write(tmp_path / "train.csv", {"Id": "1"}, {"Id": "2", column: text})
    message = refusal_of(ingest, path)
    assert str(path) in message
    assert f"line 3, column {column}: expected" in message


def test_an_id_in_two_files_is_refused_with_both_places(ingest: Ingest, tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", {"Id": "1"}, {"Id": "2"})
    message = refusal_of(ingest, train, write(tmp_path / "more.csv", {"Id": "3"}, {"Id": "2"}))
    assert "more.csv" in message
    assert "line 3, column Id" in message
    assert f"{train} line 3" in message


def test_a_file_of_other_columns_is_refused(ingest: Ingest, tmp_path: Path) -> None:
    assert "GrLivArea" in refusal_of(
        ingest, write(tmp_path / "less.csv", {}, without=["GrLivArea"])
    )
    assert "Balcony" in refusal_of(ingest, write(tmp_path / "more.csv", {"Balcony": "1"}))


def test_predictions_are_a_schema_that_the_nightly_run_fills(ingest: Ingest) -> None:
    predictions = ingest([], 5, 1)["predictions"]
    assert isinstance(predictions, pa.Schema)
    assert predictions.names == ["Id", "event_timestamp", "prediction", "model_version", "run_id"]


def test_without_files_synthetic_houses_come_by_rows_and_seed(ingest: Ingest) -> None:
    first, same, other = (ingest([], 50, seed) for seed in (1, 1, 2))
    for name in ("assessor", "listings", "sales"):
        assert len(rows_of(first, name)) == 50
        assert rows_of(first, name) == rows_of(same, name)
        assert rows_of(first, name) != rows_of(other, name)


def test_no_house_is_refused(ingest: Ingest) -> None:
    with pytest.raises(UsageError, match="--rows"):
        ingest([], 0, 1)


def test_synthetic_houses_and_files_give_the_same_columns(ingest: Ingest, tmp_path: Path) -> None:
    synthetic, read = ingest([], 5, 1), ingest([write(tmp_path / "train.csv", {})], 0, 0)
    for name in ("assessor", "listings", "sales"):
        assert getattr(synthetic[name], "schema", None) == getattr(read[name], "schema", None)


@pytest.mark.skipif(not REAL.exists(), reason="Kaggle's data is not here")
def test_kaggles_own_file_is_read_whole(ingest: Ingest) -> None:
    sources = ingest([REAL], 0, 0)
    houses, sales = rows_of(sources, "assessor"), rows_of(sources, "sales")
    listings = {row["Id"]: row for row in rows_of(sources, "listings")}
    assert (len(houses), len(listings), len(sales)) == (1460, 1460, 1460)
    assert sum(row["SalePrice"] for row in sales) == 264_144_946
    assert sum(row["LotFrontage"] is None for row in listings.values()) == 259
    assert sum(row["GarageType"] == "None" for row in houses) == 81
    assert sum(row["GarageYrBlt"] is None for row in houses) == 81
    assert sum(row["MasVnrType"] is None for row in houses) == 8


@pytest.mark.skipif(not REAL.exists(), reason="Kaggle's data is not here")
def test_synthetic_houses_use_no_category_that_kaggle_has_not(ingest: Ingest) -> None:
    real, synthetic = ingest([REAL], 0, 0), ingest([], 5000, 1)
    for source in ("assessor", "listings"):
        ours, theirs = synthetic[source], real[source]
        assert isinstance(ours, pa.Table)
        assert isinstance(theirs, pa.Table)
        for name in [field.name for field in ours.schema if field.type == pa.string()]:
            assert set(ours[name].to_pylist()) - {None} <= set(theirs[name].to_pylist()), name
