"""House prices in Ames, Iowa: a seller describes the listing, the assessor's record adds the rest.

Columns keep the names of Kaggle's data; areas are in square feet, lengths in feet. A feature never
reads the clock: the date of valuation is the listing's own `YrSold`, `MoSold`.
"""

from collections.abc import Iterator
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String

from potluck.stores.declare import parquet

Columns = dict[str, list[Any]]
"""What an on-demand function takes and gives: name -> one value a row, None where it is missing."""

# What `potluck ingest` writes: `ingest.py` gives the content of each.
assessor = parquet("house_prices", "assessor")
sales = parquet("house_prices", "sales")
listings = parquet("house_prices", "listings")
predictions = parquet("house_prices", "predictions")

house = Entity(name="house", join_keys=["Id"], value_type=ValueType.INT64)

RECORD_NUMBERS = (
    *("OverallQual", "YearRemodAdd", "MasVnrArea"),
    *("BsmtFinSF1", "BsmtFinSF2", "BsmtUnfSF", "TotalBsmtSF"),
    *("1stFlrSF", "2ndFlrSF", "LowQualFinSF", "GrLivArea"),
    *("BsmtFullBath", "BsmtHalfBath", "FullBath", "HalfBath"),
    *("BedroomAbvGr", "KitchenAbvGr", "TotRmsAbvGrd", "Fireplaces"),
    *("GarageYrBlt", "GarageCars", "GarageArea"),
    *("WoodDeckSF", "OpenPorchSF", "EnclosedPorch", "3SsnPorch", "ScreenPorch"),
    *("PoolArea", "MiscVal"),
)
RECORD_TEXTS = (
    *("Utilities", "RoofStyle", "RoofMatl", "Exterior1st", "Exterior2nd", "MasVnrType"),
    *("ExterQual", "ExterCond", "Foundation", "PavedDrive", "MiscFeature", "PoolQC"),
    *("BsmtQual", "BsmtCond", "BsmtExposure", "BsmtFinType1", "BsmtFinType2"),
    *("Heating", "HeatingQC", "CentralAir", "Electrical"),
    *("KitchenQual", "Functional", "FireplaceQu"),
    *("GarageType", "GarageFinish", "GarageQual", "GarageCond"),
)

assessor_record = FeatureView(
    name="assessor_record",
    entities=[house],
    schema=[
        *(Field(name=name, dtype=Int64) for name in RECORD_NUMBERS),
        *(Field(name=name, dtype=String) for name in RECORD_TEXTS),
    ],
    source=assessor,
)

# What a seller knows without the assessor. A default says what a field means that is not sent: who
# mentions no alley has none.
seller = RequestSource(
    name="seller",
    schema=[
        Field(name="LotArea", dtype=Int64, tags={"required": "true"}),
        Field(name="Neighborhood", dtype=String, tags={"required": "true"}),
        Field(name="YearBuilt", dtype=Int64, tags={"required": "true"}),
        Field(name="LotFrontage", dtype=Float64),
        Field(name="LotShape", dtype=String),
        Field(name="LotConfig", dtype=String),
        Field(name="LandContour", dtype=String),
        Field(name="LandSlope", dtype=String),
        Field(name="MSZoning", dtype=String),
        Field(name="MSSubClass", dtype=Int64, tags={"categorical": "true"}),
        Field(name="BldgType", dtype=String),
        Field(name="HouseStyle", dtype=String),
        Field(name="OverallCond", dtype=Int64),
        Field(name="Street", dtype=String),
        Field(name="Alley", dtype=String, tags={"default": "None"}),
        Field(name="Fence", dtype=String, tags={"default": "None"}),
        Field(name="Condition1", dtype=String),
        Field(name="Condition2", dtype=String),
        Field(name="SaleType", dtype=String, tags={"default": "WD"}),
        Field(name="SaleCondition", dtype=String, tags={"default": "Normal"}),
        Field(name="YrSold", dtype=Int64, tags={"default": "request_time.year"}),
        Field(name="MoSold", dtype=Int64, tags={"default": "request_time.month"}),
    ],
)


# Feast wants an on-demand view's schema without tags. A field that an on-demand view hands on as it
# came keeps the tags of its request field.
SELLER_FIELDS = [Field(name=field.name, dtype=field.dtype) for field in seller.schema]


@on_demand_feature_view(  # type: ignore[untyped-decorator]
    mode="python", sources=[seller], schema=[*SELLER_FIELDS, Field(name="house_age", dtype=Int64)]
)
def listing(inputs: "Columns") -> "Columns":
    """What the seller says, as it is, and the age of the house at the date of valuation (years)."""
    said = (
        *("LotArea", "Neighborhood", "YearBuilt", "LotFrontage", "LotShape", "LotConfig"),
        *("LandContour", "LandSlope", "MSZoning", "MSSubClass", "BldgType", "HouseStyle"),
        *("OverallCond", "Street", "Alley", "Fence", "Condition1", "Condition2"),
        *("SaleType", "SaleCondition", "YrSold", "MoSold"),
    )
    columns = {name: inputs[name] for name in said}
    years = zip(inputs["YrSold"], inputs["YearBuilt"], strict=True)
    columns["house_age"] = [None if None in pair else pair[0] - pair[1] for pair in years]
    return columns


@on_demand_feature_view(  # type: ignore[untyped-decorator]
    mode="python",
    sources=[assessor_record, seller],
    schema=[
        Field(name="years_since_remodel", dtype=Int64),
        Field(name="garage_age", dtype=Int64),
        Field(name="total_area", dtype=Int64),
        Field(name="living_area_share", dtype=Float64),
        Field(name="quality_area", dtype=Float64),
        Field(name="total_baths", dtype=Float64),
    ],
)
def house_on_listing(inputs: "Columns") -> "Columns":
    """The record beside the listing: ages at the date of valuation (years), areas (sq ft), shares.

    A feature is missing where one of its parts is.
    """

    def rows(*names: str) -> "Iterator[tuple[Any, ...]]":
        return zip(*(inputs[name] for name in names), strict=True)

    remodelled = rows("YrSold", "YearRemodAdd")
    garages = rows("YrSold", "GarageYrBlt")
    floors = rows("TotalBsmtSF", "1stFlrSF", "2ndFlrSF")
    lots = rows("GrLivArea", "LotArea")
    quality = rows("OverallQual", "GrLivArea")
    baths = rows("FullBath", "BsmtFullBath", "HalfBath", "BsmtHalfBath")
    return {
        "years_since_remodel": [None if None in row else row[0] - row[1] for row in remodelled],
        "garage_age": [None if None in row else row[0] - row[1] for row in garages],
        "total_area": [None if None in row else sum(row) for row in floors],
        "living_area_share": [
            None if None in row or not row[1] else row[0] / row[1] for row in lots
        ],
        "quality_area": [None if None in row else float(row[0]) * row[1] for row in quality],
        "total_baths": [
            None if None in row else row[0] + row[1] + (row[2] + row[3]) / 2 for row in baths
        ],
    }


price_predictions = FeatureView(
    name="price_predictions",
    entities=[house],
    schema=[
        Field(name="prediction", dtype=Float64),
        Field(name="model_version", dtype=String),
        Field(name="run_id", dtype=String),
    ],
    source=predictions,
    online=True,
)

MODEL = {"label": "sales.SalePrice", "objective": "regression", "transform": "log"}

house_price_realtime = FeatureService(name="house_price_realtime", features=[listing], tags=MODEL)
house_price_hybrid = FeatureService(
    name="house_price_hybrid",
    features=[assessor_record, listing, house_on_listing],
    tags={**MODEL, "population": "listings"},
)
house_price_batch = FeatureService(
    name="house_price_batch", features=[price_predictions], tags={"scored_by": "house_price_hybrid"}
)
