"""What is known of houses in Ames: neighbourhoods, styles, shares of categories; all rounded."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

Shares: TypeAlias = Mapping[str, float]
"""Category -> its share of any total."""


class Hood(NamedTuple):
    """A neighbourhood."""

    share: float  # of all houses, in percent
    built: float  # mean year
    spread: float  # standard deviation of the year built
    quality: float  # mean overall quality, from 1 to 10
    effect: float  # on the log price
    lot: float  # usual area (sq ft)
    town: float = 0  # share of town houses
    zone: str = "RL"  # most usual zoning


class Style(NamedTuple):
    """A style of house."""

    area: float  # usual living area (sq ft)
    upstairs: float  # share of the living area
    subclass: int  # its code in MSSubClass
    town_subclass: int  # the code where it is a town house


HOODS = {
    "NAmes": Hood(15.4, 1960, 9, 5.4, -0.02, 9500, 0.01),
    "CollgCr": Hood(10.3, 2000, 9, 6.6, 0.01, 9300, 0.05),
    "OldTown": Hood(7.7, 1925, 22, 5.4, -0.09, 7800, 0, "RM"),
    "Edwards": Hood(6.8, 1955, 26, 5.1, -0.08, 9000, 0.07),
    "Somerst": Hood(5.9, 2005, 3, 7.3, 0.06, 8000, 0.3, "FV"),
    "Gilbert": Hood(5.4, 1999, 7, 6.6, -0.05, 10000),
    "NridgHt": Hood(5.3, 2006, 2, 8.2, 0.14, 11500, 0.28),
    "Sawyer": Hood(5.1, 1965, 12, 5.0, -0.04, 9700),
    "NWAmes": Hood(5.0, 1976, 7, 6.3, -0.07, 11000),
    "SawyerW": Hood(4.0, 1988, 13, 6.3, -0.03, 9300, 0.12),
    "BrkSide": Hood(4.0, 1931, 12, 5.1, 0.02, 6200, 0, "RM"),
    "Crawfor": Hood(3.5, 1942, 22, 6.3, 0.12, 11500, 0.06),
    "Mitchel": Hood(3.4, 1982, 14, 5.6, -0.05, 10000, 0.08),
    "NoRidge": Hood(2.8, 1995, 3, 7.9, 0.12, 12000),
    "Timber": Hood(2.6, 1998, 14, 7.2, 0.02, 12800),
    "IDOTRR": Hood(2.5, 1924, 13, 4.8, -0.12, 7900, 0, "C (all)"),
    "ClearCr": Hood(1.9, 1966, 18, 5.9, 0.05, 17500),
    "SWISU": Hood(1.7, 1926, 9, 5.4, 0.02, 7800),
    "StoneBr": Hood(1.7, 1999, 8, 8.1, 0.19, 7000, 0.48),
    "Blmngtn": Hood(1.2, 2005, 2, 7.2, 0.03, 3200, 0.95),
    "MeadowV": Hood(1.2, 1972, 3, 4.5, -0.1, 2000, 1, "RM"),
    "BrDale": Hood(1.1, 1971, 1, 5.7, -0.11, 1700, 1, "RM"),
    "Veenker": Hood(0.8, 1978, 8, 6.7, 0.05, 11100, 0.27),
    "NPkVill": Hood(0.6, 1976, 1, 6.0, -0.04, 2300, 1),
    "Blueste": Hood(0.3, 1980, 2, 6.0, -0.08, 1600, 1, "RM"),
}

CONDITION = {
    "Norm": 863,
    "Feedr": 55,
    "Artery": 33,
    "RRAn": 18,
    "PosN": 13,
    "RRAe": 8,
    "PosA": 5,
    "RRNn": 3,
    "RRNe": 2,
}

ANYWHERE: Mapping[str, Shares] = {
    "Street": {"Pave": 996, "Grvl": 4},
    "LotShape": {"Reg": 634, "IR1": 331, "IR2": 28, "IR3": 7},
    "LandContour": {"Lvl": 898, "Bnk": 43, "HLS": 34, "Low": 25},
    "LandSlope": {"Gtl": 946, "Mod": 45, "Sev": 9},
    "LotConfig": {"Inside": 721, "Corner": 180, "CulDSac": 64, "FR2": 32, "FR3": 3},
    "Utilities": {"AllPub": 9995, "NoSeWa": 5},
    "Condition1": CONDITION,
    "RoofStyle": {"Gable": 782, "Hip": 196, "Flat": 8, "Gambrel": 8, "Mansard": 5, "Shed": 1},
    "RoofMatl": {
        "CompShg": 982,
        "Tar&Grv": 8,
        "WdShngl": 4,
        "WdShake": 3,
        "Metal": 1,
        "Membran": 1,
        "Roll": 1,
        "ClyTile": 1,
    },
    "ExterCond": {"TA": 878, "Gd": 100, "Fa": 19, "Ex": 2, "Po": 1},
    "Functional": {"Typ": 931, "Min2": 23, "Min1": 21, "Mod": 10, "Maj1": 10, "Maj2": 4, "Sev": 1},
    "Fence": {"None": 808, "MnPrv": 108, "GdPrv": 40, "GdWo": 37, "MnWw": 7},
    "FireplaceQu": {"Gd": 49, "TA": 41, "Fa": 4, "Ex": 3, "Po": 3},
    "BsmtCond": {"TA": 898, "Gd": 45, "Fa": 31, "Po": 2},
    "BsmtExposure": {"No": 67, "Av": 16, "Gd": 9, "Mn": 8},
    "BsmtFinType1": {"GLQ": 42, "ALQ": 22, "BLQ": 15, "Rec": 13, "LwQ": 8},
    "BsmtFinType2": {"Rec": 32, "LwQ": 28, "BLQ": 20, "ALQ": 12, "GLQ": 8},
    "GarageQual": {"TA": 951, "Fa": 35, "Gd": 10, "Ex": 2, "Po": 2},
    "GarageCond": {"TA": 962, "Fa": 25, "Gd": 6, "Po": 5, "Ex": 2},
    "PoolQC": {"Gd": 4, "Ex": 3, "Fa": 3},
    "MiscFeature": {"Shed": 91, "Gar2": 4, "Othr": 4, "TenC": 1},
    "SaleType": {
        "WD": 945,
        "COD": 35,
        "ConLD": 7,
        "ConLI": 4,
        "ConLw": 4,
        "CWD": 3,
        "Oth": 2,
        "Con": 1,
    },
    "SaleCondition": {"Normal": 898, "Abnorml": 76, "Family": 14, "Alloca": 9, "AdjLand": 3},
}

OLD_SIDING = {
    "Wd Sdng": 40,
    "MetalSd": 26,
    "VinylSd": 15,
    "Stucco": 7,
    "WdShing": 4,
    "AsbShng": 4,
    "BrkFace": 4,
}
SIDING = {
    "HdBoard": 25,
    "MetalSd": 20,
    "Wd Sdng": 16,
    "Plywood": 15,
    "VinylSd": 12,
    "BrkFace": 7,
    "CemntBd": 4,
}

BY_ERA: Mapping[str, tuple[Shares, Shares, Shares]] = {
    "HouseStyle": (
        {"1.5Fin": 38, "1Story": 25, "2Story": 27, "1.5Unf": 4, "2.5Unf": 4, "2.5Fin": 2},
        {"1Story": 66, "2Story": 18, "1.5Fin": 6, "SLvl": 7, "SFoyer": 3},
        {"1Story": 47, "2Story": 47, "SLvl": 3, "SFoyer": 2, "1.5Fin": 1},
    ),
    "Foundation": (
        {"BrkTil": 51, "CBlock": 30, "PConc": 16, "Stone": 3},
        {"CBlock": 91, "PConc": 8, "BrkTil": 1},
        {"PConc": 87, "CBlock": 12, "Wood": 1},
    ),
    "Exterior1st": (
        {**OLD_SIDING, "BrkComm": 0.5, "CBlock": 0.5, "AsphShn": 0.2},
        {**SIDING, "WdShing": 2, "AsbShng": 2, "Stucco": 1, "Stone": 0.2},
        {
            "VinylSd": 72,
            "HdBoard": 10,
            "MetalSd": 7,
            "CemntBd": 6,
            "Wd Sdng": 3,
            "Plywood": 2,
            "ImStucc": 0.3,
        },
    ),
    "MasVnrType": (
        {"None": 96, "BrkFace": 3, "BrkCmn": 0.5, "Stone": 0.5},
        {"None": 60, "BrkFace": 35, "Stone": 3, "BrkCmn": 2},
        {"None": 42, "BrkFace": 39, "Stone": 19},
    ),
    "Heating": (
        {"GasA": 91, "GasW": 5, "Grav": 2, "Wall": 1, "OthW": 0.5, "Floor": 0.5},
        {"GasA": 99, "GasW": 0.5, "Wall": 0.5},
        {"GasA": 100},
    ),
    "HeatingQC": (
        {"Ex": 32, "TA": 33, "Gd": 26, "Fa": 8, "Po": 1},
        {"TA": 53, "Ex": 25, "Gd": 18, "Fa": 4},
        {"Ex": 86, "Gd": 11, "TA": 3},
    ),
    "CentralAir": ({"Y": 77, "N": 23}, {"Y": 95, "N": 5}, {"Y": 100}),
    "Electrical": (
        {"SBrkr": 75, "FuseA": 18, "FuseF": 6, "FuseP": 0.7, "Mix": 0.3},
        {"SBrkr": 91, "FuseA": 7, "FuseF": 2},
        {"SBrkr": 100},
    ),
    "PavedDrive": ({"Y": 67, "N": 25, "P": 8}, {"Y": 95, "N": 3, "P": 2}, {"Y": 100}),
    "GarageType": (
        {"Detchd": 80, "Attchd": 15, "Basment": 2, "BuiltIn": 1, "CarPort": 1, "2Types": 1},
        {"Attchd": 65, "Detchd": 29, "Basment": 2, "BuiltIn": 2, "CarPort": 1, "2Types": 1},
        {"Attchd": 81, "BuiltIn": 12, "Detchd": 7},
    ),
    "GarageFinish": (
        {"Unf": 92, "RFn": 5, "Fin": 3},
        {"Unf": 57, "RFn": 29, "Fin": 14},
        {"RFn": 43, "Fin": 45, "Unf": 12},
    ),
}
"""Shares among houses built before 1946, before 1985, and after."""

TOWN_STYLE = {"1Story": 54, "2Story": 40, "SFoyer": 4, "SLvl": 2}
TOWN_TYPE = {"TwnhsE": 73, "Twnhs": 27}
FREE_TYPE = {"1Fam": 935, "Duplex": 40, "2fmCon": 25}
FREE_ZONE = {"RL": 6, "RM": 3, "RH": 1}
ALLEY_OF_RM = {"None": 75, "Grvl": 16, "Pave": 9}
SECOND_CONDITION = {
    "Norm": 170,
    "Feedr": 6,
    "Artery": 2,
    "RRNn": 2,
    "PosN": 2,
    "PosA": 1,
    "RRAn": 1,
    "RRAe": 1,
}
"""Where the first condition is not the norm."""

STYLES = {
    "1Story": Style(1280, 0, 20, 120),
    "2Story": Style(1780, 0.47, 60, 160),
    "1.5Fin": Style(1470, 0.35, 50, 160),
    "SLvl": Style(1380, 0.1, 80, 180),
    "SFoyer": Style(1000, 0.02, 85, 180),
    "1.5Unf": Style(900, 0, 45, 120),
    "2.5Unf": Style(1850, 0.46, 75, 160),
    "2.5Fin": Style(2500, 0.5, 75, 160),
}
EARLIER_SUBCLASS = {20: 30, 60: 70}
"""MSSubClass of a style -> the one of houses built before 1946."""
SUBCLASS_OF_TYPE = {"Duplex": 90, "2fmCon": 190}
SECOND_EXTERIOR = {"CemntBd": "CmentBd", "WdShing": "Wd Shng", "BrkComm": "Brk Cmn"}
"""How Exterior2nd spells what Exterior1st spells otherwise."""
OTHER_EXTERIOR = {
    "VinylSd": 35,
    "MetalSd": 15,
    "HdBoard": 14,
    "Wd Sdng": 14,
    "Plywood": 10,
    "Other": 1,
    "ImStucc": 1,
}
OUTSIDE = {
    "WoodDeckSF": 0.48,
    "OpenPorchSF": 0.55,
    "EnclosedPorch": 0.14,
    "3SsnPorch": 0.016,
    "ScreenPorch": 0.08,
    "PoolArea": 0.005,
    "MiscVal": 0.036,
}
"""Share of houses that have each."""
