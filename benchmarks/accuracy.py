"""How well the hybrid and the real-time model predict, beside the reference course's pipeline on
the very same rows.

    python -m benchmarks.accuracy [--data FILE | --rows N --seed S]

All three learn from the earlier rows and are measured on the latest fifth (`training.split`), the
first two by `potluck train` with the parameters that it chooses, the reference here.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import lightgbm
import pandas as pd
import pyarrow.parquet as pq
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from benchmarks.home import Data, Home, fresh_home, lay_down, stop_like_ctrl_c
from benchmarks.machine import PROJECT, Goal, goals_table, machine, table, write_result
from potluck.contract.features import FeatureContract
from potluck.scoring.releases import Releases
from potluck.stores.definitions.registry import definition_of
from potluck.stores.definitions.repo import open_store
from training.dataset import Dataset, labelled_dataset
from training.metrics import regression_metrics
from training.split import split

REALTIME, HYBRID, REFERENCE = "house_price_realtime", "house_price_hybrid", "reference course"
METRICS = ("rmsle", "mae", "rmse", "r2")
KEY, LABEL = "Id", "SalePrice"

# The 28 columns that a course would take: the plain numbers and the well-known categories. Neither
# chosen by their
# effect nor tuned.
NUMERIC = (
    *(
        "LotArea",
        "OverallQual",
        "OverallCond",
        "YearBuilt",
        "YearRemodAdd",
        "BsmtFinSF1",
        "TotalBsmtSF",
    ),
    *("1stFlrSF", "2ndFlrSF", "GrLivArea", "FullBath", "HalfBath", "BedroomAbvGr", "KitchenAbvGr"),
    *("TotRmsAbvGrd", "Fireplaces", "GarageCars", "GarageArea"),
)
CATEGORICAL = (
    *(
        "MSZoning",
        "Neighborhood",
        "BldgType",
        "HouseStyle",
        "ExterQual",
        "KitchenQual",
        "HeatingQC",
    ),
    *("CentralAir", "SaleType", "SaleCondition"),
)
REFERENCE_PARAMETERS = {"learning_rate": 0.01, "n_estimators": 1000, "max_depth": 6}

NOTES = (
    (
        f"{REFERENCE}: OneHotEncoder(handle_unknown='ignore') and "
        f"LGBMRegressor({REFERENCE_PARAMETERS})"
    ),
    (
        f"  on {len(NUMERIC) + len(CATEGORICAL)} columns and the raw price, fitted and measured on "
        "the same rows."
    ),
    f"{REALTIME}: knows what the seller says and nothing of the assessor's record.",
)

Metrics = Mapping[str, float]


@click.command()
@click.option(
    "--data",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Kaggle's train.csv",
)
@click.option("--rows", default=1460, show_default=True, help="Synthetic houses, without --data.")
@click.option("--seed", default=0, show_default=True)
def main(file: Path | None, rows: int, seed: int) -> None:
    """Train, measure, compare."""
    stop_like_ctrl_c()
    surroundings = machine()
    data = Data(file, rows, seed)
    with fresh_home(PROJECT / "feature_repo") as home:
        trained = lay_down(home, data, (REALTIME, HYBRID), parameters={})
        contract, dataset = labelled(home)
        parts = split(dataset.splittable(contract), "time", 0)
        earlier, later = dataset.take(parts.learn), dataset.take(parts.test)
        check_same_rows(home, trained, dataset, (len(earlier), len(later)))
        reference = reference_metrics(houses(home), earlier, later)
    found: dict[str, Metrics] = {name: told["metrics"] for name, told in trained.items()} | {
        REFERENCE: reference
    }
    described = {
        **data.described(),
        "data_hash": dataset.digest,
        "train_rows": len(earlier),
        "test_rows": len(later),
        "test_starts": later.inputs.times[0].isoformat(),
    }
    report(surroundings, described, found)


def labelled(home: Home) -> tuple[FeatureContract, Dataset]:
    """The hybrid service, and its labelled rows as `potluck train` saw them."""
    os.environ.update(home.environment)
    store = open_store(home.settings.repo)
    contract = definition_of(store, HYBRID).contract
    return contract, labelled_dataset(store, contract, datetime.now(UTC))


def check_same_rows(
    home: Home, trained: Mapping[str, Any], dataset: Dataset, split: tuple[int, int]
) -> None:
    """Stop where Potluck's models saw other rows than the reference does."""
    releases = Releases(home.settings.releases)
    lineage = releases.open(releases.champion(HYBRID)).contract.lineage
    splits = {(told["train_rows"], told["test_rows"]) for told in trained.values()}
    if lineage is None or lineage.data_hash != dataset.digest or splits != {split}:
        raise SystemExit(
            "the models were trained on other rows than the reference; nothing can be compared"
        )


def houses(home: Home) -> pd.DataFrame:
    """Every column of every house with a price, by Id."""
    folder = home.settings.data_folder("house_prices")
    record, sale = (read(folder / f"{source}.parquet") for source in ("assessor", "sales"))
    return record.join(sale, how="inner")


def read(path: Path) -> pd.DataFrame:
    return pq.read_table(path).drop_columns(["event_timestamp"]).to_pandas().set_index(KEY)


def reference_metrics(table: pd.DataFrame, earlier: Dataset, later: Dataset) -> Metrics:
    """The course's pipeline, fitted on the earlier rows, on the later ones."""
    train, test = (table.loc[rows.inputs.keys[KEY].to_pylist()] for rows in (earlier, later))
    assert test[LABEL].tolist() == later.labels
    pipeline = course_pipeline().fit(train, train[LABEL])
    return regression_metrics(test[LABEL].to_numpy(), pipeline.predict(test))


def course_pipeline() -> Pipeline:
    encoder = ColumnTransformer(
        [
            ("numeric", "passthrough", list(NUMERIC)),
            ("categorical", OneHotEncoder(handle_unknown="ignore"), list(CATEGORICAL)),
        ],
        verbose_feature_names_out=False,
    )
    return Pipeline(
        [("encode", encoder), ("model", lightgbm.LGBMRegressor(**REFERENCE_PARAMETERS, verbose=-1))]
    )


def report(
    surroundings: Mapping[str, Any], data: Mapping[str, Any], found: Mapping[str, Metrics]
) -> None:
    goals = goals_of(found)
    print(
        f"{data['train_rows']} rows to learn from, {data['test_rows']} from "
        f"{data['test_starts'][:10]} on to measure\n"
    )
    head = ("model", *METRICS, *(f"{metric} ÷ ref." for metric in METRICS[:3]))
    print(table(head, [row_of(name, metrics, found[REFERENCE]) for name, metrics in found.items()]))
    print("\n" + "\n".join(NOTES) + "\n")
    print(goals_table(goals))
    ratios = {
        name: {m: metrics[m] / found[REFERENCE][m] for m in METRICS}
        for name, metrics in found.items()
    }
    figures = {"metrics": found, "ratio_to_reference": ratios}
    written = write_result("accuracy", surroundings, data, figures, goals, NOTES)
    print(f"\nwrote {written.relative_to(PROJECT)}")


def row_of(name: str, metrics: Metrics, reference: Metrics) -> Sequence[str]:
    told = (
        f"{metrics['rmsle']:.4f}",
        f"{metrics['mae']:,.0f}",
        f"{metrics['rmse']:,.0f}",
        f"{metrics['r2']:.3f}",
    )
    return (name, *told, *(f"{metrics[metric] / reference[metric]:.3f}" for metric in METRICS[:3]))


def goals_of(found: Mapping[str, Metrics]) -> list[Goal]:
    """Hybrid below the reference and below real-time, in RMSLE and in MAE."""
    return [
        Goal(
            f"{metric} of {HYBRID}, over {other}",
            round(found[HYBRID][metric] / found[other][metric], 4),
            "<",
            1.0,
        )
        for other in (REFERENCE, REALTIME)
        for metric in ("rmsle", "mae")
    ]


if __name__ == "__main__":
    main()
