"""Synthetic houses with Kaggle's columns and categories, as many as asked for.

The neighbourhood sets era, lot, kind and quality of a house, these set its rooms, and all of them
its price. Much lies in the record (quality, areas, garage): there a hybrid model can win over a
realtime one.
"""

from collections.abc import Mapping

import ames
import numpy as np
import pyarrow as pa
from dice import Column, Columns, Dice, fact, lose, none_where, to_arrow, translate

NOISE = 0.1  # sd of the log price that no column explains
FIRST_YEAR, MONTHS = 2006, 55  # 2006-01 to 2010-07
SEASON = np.array([4, 4, 7, 10, 14, 17, 16, 8, 4, 6, 5, 4])  # sales by month of the year
UNKNOWN: Mapping[str, float] = {
    "LotFrontage": 0.18,
    **dict.fromkeys(("Electrical", "MSZoning", "Utilities", "Exterior1st", "Exterior2nd"), 0.0007),
    **dict.fromkeys(("KitchenQual", "Functional", "SaleType"), 0.0007),
}
"""Column -> share of houses whose value nobody knows."""


def houses(rows: int, seed: int) -> pa.Table:
    """`rows` houses with Kaggle's 81 columns; the same rows and seed give the same houses."""
    dice = Dice(np.random.default_rng(seed), rows)
    house: Columns = {"Id": np.arange(1, rows + 1)}
    # In this order: each part looks at columns of those before it. And a seed gives the same houses
    # only as long as the draws come in the same order.
    site = (date_of_sale, place, building, state)
    inside = (floors, rooms, basement, garage, shell, comfort)
    for part in (*site, *inside, outside, sale, price):
        house |= part(dice, house)
    for name, share in UNKNOWN.items():
        house[name] = lose(dice.chance(share), house[name])
    # `pop` frees a column's Python objects before the next one is made.
    return pa.table({name: to_arrow(name, house.pop(name)) for name in list(house)})


def date_of_sale(dice: Dice, house: Columns) -> Columns:
    season = np.resize(SEASON, MONTHS)
    month = dice.rng.choice(MONTHS, dice.rows, p=season / season.sum())
    return {"YrSold": FIRST_YEAR + month // 12, "MoSold": month % 12 + 1}


def place(dice: Dice, house: Columns) -> Columns:
    hood = dice.pick({name: known.share for name, known in ames.HOODS.items()})
    lot = np.rint(fact(ames.HOODS, hood, "lot") * np.exp(dice.normal(0, 0.25)))
    zone = np.where(dice.chance(0.85), fact(ames.HOODS, hood, "zone"), dice.pick(ames.FREE_ZONE))
    street = dice.anywhere(
        "Street", "LotShape", "LandContour", "LandSlope", "LotConfig", "Utilities", "Condition1"
    )
    frontage = np.sqrt(lot * 0.53) * np.exp(dice.normal(0, 0.15))
    alley = np.where(zone == "RM", dice.pick(ames.ALLEY_OF_RM), "None")
    second = np.where(street["Condition1"] == "Norm", "Norm", dice.pick(ames.SECOND_CONDITION))
    return {
        **street,
        "Neighborhood": hood,
        "MSZoning": zone,
        "LotArea": lot.astype(np.int64),
        "LotFrontage": np.clip(np.rint(frontage), 21, 313),
        "Alley": alley,
        "Condition2": second,
    }


def building(dice: Dice, house: Columns) -> Columns:
    hood = house["Neighborhood"]
    mean, spread = fact(ames.HOODS, hood, "built"), fact(ames.HOODS, hood, "spread")
    built = dice.count(mean, spread, 1872, house["YrSold"])
    town = dice.chance(fact(ames.HOODS, hood, "town"))
    town_style = dice.pick(ames.TOWN_STYLE)
    style = np.where(town, town_style, dice.by_era(built, "HouseStyle")["HouseStyle"])
    kind = np.where(town, dice.pick(ames.TOWN_TYPE), dice.pick(ames.FREE_TYPE))
    code = subclass(kind, style, built, town)
    return {"BldgType": kind, "YearBuilt": built, "HouseStyle": style, "MSSubClass": code}


def subclass(kind: Column, style: Column, built: Column, town: Column) -> Column:
    """MSSubClass, which says type, style and era in one code."""
    of_town, of_others = (fact(ames.STYLES, style, name) for name in ("town_subclass", "subclass"))
    usual = np.where(town, of_town, of_others)
    early = [(built < 1946) & (usual == code) for code in ames.EARLIER_SUBCLASS]
    shared = [kind == name for name in ames.SUBCLASS_OF_TYPE]
    codes = [*ames.EARLIER_SUBCLASS.values(), *ames.SUBCLASS_OF_TYPE.values()]
    return np.select(early + shared, codes, usual)


def state(dice: Dice, house: Columns) -> Columns:
    hood, built, sold = house["Neighborhood"], house["YearBuilt"], house["YrSold"]
    age = sold - built
    newer = built - fact(ames.HOODS, hood, "built")
    quality = dice.count(fact(ames.HOODS, hood, "quality") + newer * 0.015, 0.85, 1, 10)
    remodelled = np.rint(dice.between(np.maximum(built, 1950), np.maximum(sold, 1950)))
    untouched = dice.chance(np.where(age < 10, 0.85, 0.45))
    return {
        "OverallQual": quality,
        "OverallCond": np.where(age < 12, 5, dice.count(5.7, 1.2, 1, 9)),
        "YearRemodAdd": np.where(untouched, np.maximum(built, 1950), remodelled).astype(np.int64),
    }


def floors(dice: Dice, house: Columns) -> Columns:
    size = np.exp(0.1 * (house["OverallQual"] - 6))
    usual = fact(ames.STYLES, house["HouseStyle"], "area") * size
    living = np.clip(np.rint(usual * np.exp(dice.normal(0, 0.2))), 334, 5700)
    upstairs = fact(ames.STYLES, house["HouseStyle"], "upstairs") * dice.between(0.85, 1.1)
    second = np.rint(living * upstairs)
    poor = np.where(dice.chance(0.018), np.rint(living * 0.15), 0)
    areas = {
        "1stFlrSF": living - second - poor,
        "2ndFlrSF": second,
        "LowQualFinSF": poor,
        "GrLivArea": living,
    }
    return {name: area.astype(np.int64) for name, area in areas.items()}


def rooms(dice: Dice, house: Columns) -> Columns:
    area, shared = house["GrLivArea"], house["BldgType"] == "Duplex"
    total = dice.count(1.2 + area / 285, 0.8, 2, 14)
    return {
        "TotRmsAbvGrd": total,
        "BedroomAbvGr": dice.count(0.6 + total * 0.35, 0.45, 0, np.minimum(total - 1, 8)),
        "KitchenAbvGr": np.where(shared, 2, 1),
        "FullBath": dice.count(0.4 + area / 1700 + (house["YearBuilt"] - 1950) / 100, 0.35, 1, 3),
        "HalfBath": dice.count(np.where(house["2ndFlrSF"] > 0, 0.65, 0.15), 0.3, 0, 2),
        "Fireplaces": dice.count(area / 1500 + 0.1 * house["OverallQual"] - 1, 0.5, 0, 3),
    }


def basement(dice: Dice, house: Columns) -> Columns:
    none = dice.chance(0.025)
    below = np.clip(dice.normal(0.97, 0.08), 0.4, 1.2)
    total = none_where(none, np.rint(house["1stFlrSF"] * below))
    first = np.rint(total * np.where(dice.chance(0.31), 0, dice.between(0.15, 0.95)))
    no_second = dice.chance(0.88) | (first == 0)
    second = np.rint((total - first) * np.where(no_second, 0, dice.between(0.1, 0.9)))
    areas = {
        "BsmtFinSF1": first,
        "BsmtFinSF2": second,
        "BsmtUnfSF": total - first - second,
        "TotalBsmtSF": total,
    }
    kinds = dice.anywhere("BsmtCond", "BsmtExposure", "BsmtFinType1", "BsmtFinType2")
    kinds["BsmtFinType1"] = np.where(first > 0, kinds["BsmtFinType1"], "Unf")
    kinds["BsmtFinType2"] = np.where(second > 0, kinds["BsmtFinType2"], "Unf")
    kinds["BsmtQual"] = dice.grade(house["OverallQual"] + (house["YearBuilt"] - 1970) / 40)
    baths = {
        "BsmtFullBath": dice.count(0.6, 0.35, 0, 2),
        "BsmtHalfBath": dice.chance(0.055).astype(np.int64),
    }
    return {
        **{name: area.astype(np.int64) for name, area in areas.items()},
        **{name: none_where(none, kind) for name, kind in kinds.items()},
        **{name: none_where(first == 0, count) for name, count in baths.items()},
    }


def garage(dice: Dice, house: Columns) -> Columns:
    built = house["YearBuilt"]
    none = dice.chance(np.where(built < 1946, 0.16, 0.04))
    cars = dice.count(0.3 + 0.26 * house["OverallQual"] + (built - 1970) * 0.004, 0.4, 1, 4)
    kinds = dice.by_era(built, "GarageType", "GarageFinish")
    kinds |= dice.anywhere("GarageQual", "GarageCond")
    year = np.where(dice.chance(0.8), built, np.rint(dice.between(built, house["YrSold"])))
    sizes = {
        "GarageCars": cars,
        "GarageArea": np.rint(cars * 265 * np.exp(dice.normal(0, 0.12))).astype(np.int64),
    }
    columns = {name: none_where(none, values) for name, values in (kinds | sizes).items()}
    columns["GarageYrBlt"] = lose(none, year)
    return columns


def shell(dice: Dice, house: Columns) -> Columns:
    kinds = dice.by_era(house["YearBuilt"], "Foundation", "Exterior1st", "MasVnrType", "PavedDrive")
    first = kinds["Exterior1st"]
    kinds["Foundation"] = np.where(house["TotalBsmtSF"] == 0, "Slab", kinds["Foundation"])
    second = translate(first, ames.SECOND_EXTERIOR)
    veneer = none_where(kinds["MasVnrType"] == "None", np.rint(np.exp(dice.normal(5.2, 0.7))))
    lost = dice.chance(0.005)
    return {
        **kinds,
        **dice.anywhere("RoofStyle", "RoofMatl", "ExterCond"),
        "Exterior2nd": np.where(dice.chance(0.9), second, dice.pick(ames.OTHER_EXTERIOR)),
        "MasVnrType": lose(lost, kinds["MasVnrType"]),
        "MasVnrArea": lose(lost, veneer),
        "ExterQual": dice.grade(house["OverallQual"] - 0.5),
    }


def comfort(dice: Dice, house: Columns) -> Columns:
    columns = dice.by_era(house["YearBuilt"], "Heating", "HeatingQC", "CentralAir", "Electrical")
    columns |= dice.anywhere("Functional")
    columns["KitchenQual"] = dice.grade(house["OverallQual"])
    fireplaces = dice.pick(ames.ANYWHERE["FireplaceQu"])
    columns["FireplaceQu"] = none_where(house["Fireplaces"] == 0, fireplaces)
    return columns


def outside(dice: Dice, house: Columns) -> Columns:
    sizes = {}
    for name, share in ames.OUTSIDE.items():
        none = ~dice.chance(share)
        sizes[name] = none_where(none, np.rint(np.exp(dice.normal(5, 0.6))).astype(np.int64))
    kinds = dice.anywhere("Fence", "PoolQC", "MiscFeature")
    kinds["PoolQC"] = none_where(sizes["PoolArea"] == 0, kinds["PoolQC"])
    kinds["MiscFeature"] = none_where(sizes["MiscVal"] == 0, kinds["MiscFeature"])
    return sizes | kinds


def sale(dice: Dice, house: Columns) -> Columns:
    new = (house["YrSold"] - house["YearBuilt"] < 2) & dice.chance(0.6)
    kinds = dice.anywhere("SaleType", "SaleCondition")
    return {
        "SaleType": np.where(new, "New", kinds["SaleType"]),
        "SaleCondition": np.where(new, "Partial", kinds["SaleCondition"]),
    }


def price(dice: Dice, house: Columns) -> Columns:
    """SalePrice in whole dollars: what a house has adds to its log, and so does chance."""
    baths = house["FullBath"] + house["BsmtFullBath"] + house["HalfBath"] / 2
    log = (
        11.84
        + fact(ames.HOODS, house["Neighborhood"], "effect")
        + 0.075 * (house["OverallQual"] - 6)
        + 0.45 * np.log(house["GrLivArea"] / 1450)
        + 0.1 * np.log(house["LotArea"] / 9500)
        - 0.0028 * np.minimum(house["YrSold"] - house["YearBuilt"], 80)
        + 0.045 * (house["OverallCond"] - 5)
        + 0.05 * house["GarageCars"]
        + 0.00008 * house["TotalBsmtSF"]
        + 0.04 * (house["Fireplaces"] + baths - 2)
        + 0.07 * (house["CentralAir"] == "Y")
        - 0.12 * (house["SaleCondition"] == "Abnorml")
        + 0.05 * (house["SaleType"] == "New")
    )
    return {"SalePrice": np.rint(np.exp(log + dice.normal(0, NOISE)))}
