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

import click
import lightgbm
import pandas as pd
import pyarrow.parquet as pq
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from benchmarks.home import Data, Home, fresh_home, lay_down, stop_like_ctrl_c
from benchmarks.machine import (
    PROJECT,
    Facts,
    Goal,
    goals_table,
    machine,
    print_notes,
    print_written,
    table,
    write_result,
)
from potluck.contract.features import FeatureContract
from potluck.scoring.releases import Releases
from potluck.stores.definitions.registry import definition_of
from potluck.stores.definitions.repo import open_store
from training.dataset import Dataset, labelled_dataset
from training.metrics import regression_metrics
from training.split import split

REALTIME = "house_price_realtime"
HYBRID = "house_price_hybrid"
REFERENCE = "reference course"
METRICS = ("rmsle", "mae", "rmse", "r2")
KEY, LABEL = "Id", "SalePrice"

# The 28 columns that a course would take: the plain numbers and the well-known categories. They
# were neither chosen by their effect nor tuned.
NUMERIC = (
    "LotArea",
    "OverallQual",
    "OverallCond",
    "YearBuilt",
    "YearRemodAdd",
    "BsmtFinSF1",
    "TotalBsmtSF",
    "1stFlrSF",
    "2ndFlrSF",
    "GrLivArea",
    "FullBath",
    "HalfBath",
    "BedroomAbvGr",
    "KitchenAbvGr",
    "TotRmsAbvGrd",
    "Fireplaces",
    "GarageCars",
    "GarageArea",
)
CATEGORICAL = (
    "MSZoning",
    "Neighborhood",
    "BldgType",
    "HouseStyle",
    "ExterQual",
    "KitchenQual",
    "HeatingQC",
    "CentralAir",
    "SaleType",
    "SaleCondition",
)
REFERENCE_PARAMETERS = {
    "learning_rate": 0.01,
    "n_estimators": 1000,
    "max_depth": 6,
}

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
        earlier = dataset.take(parts.learn)
        later = dataset.take(parts.test)
        check_same_rows(home, trained, dataset, (len(earlier), len(later)))
        reference = reference_metrics(houses(home), earlier, later)
    found: dict[str, Metrics] = {name: told["metrics"] for name, told in trained.items()}
    found[REFERENCE] = reference
    described = {
        **data.described(),
        "data_hash": dataset.digest,
        "train_rows": len(earlier),
        "test_rows": len(later),
        "test_starts": later.inputs.times[0].isoformat(),
    }
    report_accuracy(surroundings, described, found)


def labelled(home: Home) -> tuple[FeatureContract, Dataset]:
    """The hybrid service, and its labelled rows as `potluck train` saw them."""
    os.environ.update(home.environment)
    store = open_store(home.settings.repo)
    contract = definition_of(store, HYBRID).contract
    return contract, labelled_dataset(store, contract, datetime.now(UTC))


def check_same_rows(home: Home, trained: Facts, dataset: Dataset, split: tuple[int, int]) -> None:
    """Stop where Potluck's models saw other rows than the reference does."""
    releases = Releases(home.settings.releases)
    lineage = releases.open(releases.champion(HYBRID)).contract.lineage
    splits = {(told["train_rows"], told["test_rows"]) for told in trained.values()}
    same_data = lineage is not None and lineage.data_hash == dataset.digest
    if not same_data or splits != {split}:
        raise SystemExit(
            "the models were trained on other rows than the reference; nothing can be compared"
        )


def houses(home: Home) -> pd.DataFrame:
    """Every column of every house with a price, by Id."""
    folder = home.settings.data_folder("house_prices")
    record = read_source(folder / "assessor.parquet")
    sale = read_source(folder / "sales.parquet")
    return record.join(sale, how="inner")


def read_source(path: Path) -> pd.DataFrame:
    rows = pq.read_table(path).drop_columns(["event_timestamp"])
    return rows.to_pandas().set_index(KEY)


def reference_metrics(table: pd.DataFrame, earlier: Dataset, later: Dataset) -> Metrics:
    """The course's pipeline, fitted on the earlier rows, on the later ones."""
    train = table.loc[earlier.inputs.keys[KEY].to_pylist()]
    test = table.loc[later.inputs.keys[KEY].to_pylist()]
    assert test[LABEL].tolist() == later.labels
    pipeline = course_pipeline().fit(train, train[LABEL])
    return regression_metrics(test[LABEL].to_numpy(), pipeline.predict(test))


def course_pipeline() -> Pipeline:
    one_hot = OneHotEncoder(handle_unknown="ignore")
    encoder = ColumnTransformer(
        [
            ("numeric", "passthrough", list(NUMERIC)),
            ("categorical", one_hot, list(CATEGORICAL)),
        ],
        verbose_feature_names_out=False,
    )
    model = lightgbm.LGBMRegressor(**REFERENCE_PARAMETERS, verbose=-1)
    return Pipeline([("encode", encoder), ("model", model)])


def report_accuracy(surroundings: Facts, data: Facts, found: Mapping[str, Metrics]) -> None:
    """Print the tables, and write the figures to the result file."""
    goals = accuracy_goals(found)
    learnt = f"{data['train_rows']} rows to learn from"
    since = data["test_starts"][:10]
    print(f"{learnt}, {data['test_rows']} from {since} on to measure\n")
    print(metrics_table(found))
    print_notes(NOTES)
    print("\n" + goals_table(goals))
    figures = {"metrics": found, "ratio_to_reference": ratios_to_reference(found)}
    print_written(write_result("accuracy", surroundings, data, figures, goals, NOTES))


def ratios_to_reference(found: Mapping[str, Metrics]) -> dict[str, dict[str, float]]:
    """Model -> metric -> how many times the reference's it is."""
    reference = found[REFERENCE]
    ratios: dict[str, dict[str, float]] = {}
    for name, metrics in found.items():
        ratios[name] = {}
        for metric in METRICS:
            ratios[name][metric] = metrics[metric] / reference[metric]
    return ratios


def metrics_table(found: Mapping[str, Metrics]) -> str:
    """A line for each model."""
    ratios = [f"{metric} ÷ ref." for metric in METRICS[:3]]
    rows = []
    for name, metrics in found.items():
        rows.append(metrics_row(name, metrics, found[REFERENCE]))
    return table(("model", *METRICS, *ratios), rows)


def metrics_row(name: str, metrics: Metrics, reference: Metrics) -> Sequence[str]:
    ratios = [f"{metrics[metric] / reference[metric]:.3f}" for metric in METRICS[:3]]
    return (
        name,
        f"{metrics['rmsle']:.4f}",
        f"{metrics['mae']:,.0f}",
        f"{metrics['rmse']:,.0f}",
        f"{metrics['r2']:.3f}",
        *ratios,
    )


def accuracy_goals(found: Mapping[str, Metrics]) -> list[Goal]:
    """Hybrid below the reference and below real-time, in RMSLE and in MAE."""
    goals = []
    for other in (REFERENCE, REALTIME):
        for metric in ("rmsle", "mae"):
            name = f"{metric} of {HYBRID}, over {other}"
            ratio = found[HYBRID][metric] / found[other][metric]
            goals.append(Goal(name, round(ratio, 4), "<", 1.0))
    return goals


if __name__ == "__main__":
    main()
