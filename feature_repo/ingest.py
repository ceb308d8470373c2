"""Kaggle's House Prices files, or synthetic houses -> the sources of `definitions.py`.

The month of sale is all that the data tells of time. The assessor's record and the listing are
dated to its first day, the sale to its middle: a sale sees its own record, and none of a later
month.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from synthetic import houses as synthetic_houses

from potluck.contract.errors import UsageError
from potluck.stores.csv_cells import CsvColumn
from potluck.stores.csv_source import join_tables, read_csv
from potluck.stores.predictions import predictions_schema

Moments: TypeAlias = NDArray[np.datetime64]
TIMESTAMP = pa.timestamp("us", tz="UTC")
DAYS_TO_SALE = 14  # after the first of the month

TEXT = CsvColumn("string")
COUNT = CsvColumn("int64", least=0)
GRADE = CsvColumn("int64", least=1, most=10)
YEAR = CsvColumn("int64", least=1700, most=2100)

# Here Kaggle's data description spells "there is none" as NA. It becomes None, the data's own word
# for it in MasVnrType, where NA means "not known", as it does in every other column.
NONE = CsvColumn("string", categories={"NA": "None"})


def alike(column: CsvColumn, names: str) -> Mapping[str, CsvColumn]:
    return dict.fromkeys(names.split(), column)


LISTING: Mapping[str, CsvColumn] = {
    "LotArea": CsvColumn("int64", required=True, least=1),
    "Neighborhood": CsvColumn("string", required=True),
    "YearBuilt": CsvColumn("int64", required=True, least=1700, most=2100),
    "YrSold": CsvColumn("int64", required=True, least=1900, most=2100),
    "MoSold": CsvColumn("int64", required=True, least=1, most=12),
    "LotFrontage": CsvColumn("float64", least=0),
    "MSSubClass": COUNT,
    "OverallCond": GRADE,
    **alike(TEXT, "LotShape LotConfig LandContour LandSlope MSZoning BldgType HouseStyle Street"),
    **alike(TEXT, "Condition1 Condition2 SaleType SaleCondition"),
    **alike(NONE, "Alley Fence"),
}
RECORD: Mapping[str, CsvColumn] = {
    "OverallQual": GRADE,
    "YearRemodAdd": YEAR,
    "GarageYrBlt": CsvColumn("int64"),
    **alike(COUNT, "MasVnrArea BsmtFinSF1 BsmtFinSF2 BsmtUnfSF TotalBsmtSF"),
    **alike(COUNT, "1stFlrSF 2ndFlrSF LowQualFinSF GrLivArea"),
    **alike(COUNT, "BsmtFullBath BsmtHalfBath FullBath HalfBath"),
    **alike(COUNT, "BedroomAbvGr KitchenAbvGr TotRmsAbvGrd Fireplaces GarageCars GarageArea"),
    **alike(COUNT, "WoodDeckSF OpenPorchSF EnclosedPorch 3SsnPorch ScreenPorch PoolArea MiscVal"),
    **alike(TEXT, "Utilities RoofStyle RoofMatl Exterior1st Exterior2nd MasVnrType"),
    **alike(TEXT, "ExterQual ExterCond Foundation PavedDrive"),
    **alike(TEXT, "Heating HeatingQC CentralAir Electrical KitchenQual Functional"),
    **alike(NONE, "BsmtQual BsmtCond BsmtExposure BsmtFinType1 BsmtFinType2 FireplaceQu"),
    **alike(NONE, "GarageType GarageFinish GarageQual GarageCond PoolQC MiscFeature"),
}
COLUMNS: Mapping[str, CsvColumn] = {
    "Id": CsvColumn("int64", required=True),
    **LISTING,
    **RECORD,
    "SalePrice": CsvColumn("float64", optional=True, least=1),
}

# Rows with the same id and date are the same row: one that comes again replaces it.
KEYS = {source: ["Id"] for source in ("assessor", "listings", "sales")}


def ingest(files: Sequence[Path], rows: int, seed: int) -> dict[str, pa.Table | pa.Schema]:
    """Make the sources of every house in the files; without files, of synthetic houses.

    A file without SalePrice (Kaggle's test.csv) brings houses to predict and no sale.

    Args:
        rows: number of synthetic houses.
        seed: of synthetic houses; the same one gives the same houses.

    Returns:
        A table, or the schema of what others fill, by the source's name.

    Raises:
        DataError: a file is not one of Kaggle's House Prices files, or an Id stands there twice.
        UsageError: `rows` is below 1.
    """
    if files:
        houses = join_tables([read_csv(path, COLUMNS) for path in files], "Id")
        return sources(without_later_garages(houses))
    if rows < 1:
        raise UsageError(
            f"expected 1 synthetic house or more, got {rows}; give --rows, or Kaggle's files"
        )
    return sources(synthetic_houses(rows, seed).select(list(COLUMNS)))


def sources(houses: pa.Table) -> dict[str, pa.Table | pa.Schema]:
    """Split houses into what the assessor, the seller and the sale tell.

    Args:
        houses: Kaggle's columns, one row a house.
    """
    months = month_starts(houses["YrSold"], houses["MoSold"])
    closing = months + np.timedelta64(DAYS_TO_SALE, "D")
    listing = houses.select(["Id", *LISTING])
    sales = dated(listing.append_column("SalePrice", houses["SalePrice"]), closing)
    return {
        "assessor": dated(houses.select(["Id", *RECORD]), months),
        "listings": dated(listing, months),
        "sales": sales.filter(pc.is_valid(sales["SalePrice"])),
        "predictions": predictions_schema("Id", "int64", "float64"),
    }


def month_starts(years: pa.ChunkedArray, months: pa.ChunkedArray) -> Moments:
    """The first moment (UTC) of each month, in microseconds."""
    since_1970: NDArray[np.int64] = (years.to_numpy() - 1970) * 12 + months.to_numpy() - 1
    return since_1970.astype("datetime64[M]").astype("datetime64[us]")


def dated(table: pa.Table, moments: Moments) -> pa.Table:
    return table.add_column(1, "event_timestamp", pa.array(moments).cast(TIMESTAMP))


def without_later_garages(houses: pa.Table) -> pa.Table:
    """Houses whose garage, if it was built after the year that follows the sale, has no known year.

    Kaggle has one of 2207. Surely 2007 was meant, but a guess would look like a fact.
    """
    built, place = houses["GarageYrBlt"], houses.column_names.index("GarageYrBlt")
    later = pc.greater(built, pc.add(houses["YrSold"], 1))
    return houses.set_column(place, "GarageYrBlt", pc.if_else(later, None, built))
