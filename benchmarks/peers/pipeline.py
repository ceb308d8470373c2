"""The scikit-learn pipelines of (a) and (b), learnt from the rows that Potluck's models learnt
from.

    python -m benchmarks.peers.pipeline REPO DATA TARGET BUNDLE...

Each is kept as an MLflow model. Also written: `rows.json`, the finished feature rows of the
population, which a server without a store must be sent. The first bundle's service has all the
columns; the others' are among them.
"""

import json
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import click
import lightgbm
import mlflow.sklearn
import numpy as np
import pandas as pd
from feast import FeatureStore
from mlflow.models import infer_signature
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from benchmarks.peers.place import Contract
from training.candidates import RANDOM_SPLITS

ROWS = "rows.json"
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("repo", type=FOLDER)
@click.argument("data", type=FOLDER)
@click.argument("target", type=click.Path(path_type=Path))
@click.argument("bundles", type=FOLDER, nargs=-1, required=True)
def main(repo: Path, data: Path, target: Path, bundles: tuple[Path, ...]) -> None:
    """Fit a pipeline for each bundle's service and keep it under TARGET."""
    contracts = [json.loads((bundle / "contract.json").read_bytes()) for bundle in bundles]
    widest = contracts[0]
    store = FeatureStore(repo_path=str(repo))
    labelled = pd.read_parquet(data / f"{widest['label_source']}.parquet")
    known = historical_rows(store, widest, labelled)
    for contract, bundle in zip(contracts, bundles, strict=True):
        trees = (bundle / "model.txt").read_text().count("\nTree=")
        pipeline = fitted(contract, known, trees)
        keep(pipeline, contract, known, target / contract["service"])
    population = pd.read_parquet(data / f"{widest['population']}.parquet")
    (target / ROWS).write_text(online_rows(store, widest, population))


def historical_rows(
    store: FeatureStore, contract: Contract, labelled: pd.DataFrame
) -> pd.DataFrame:
    """Every labelled row's features, as known at its time, and the label."""
    service = store.get_feature_service(contract["service"])
    table = store.get_historical_features(entity_df=labelled, features=service).to_df()
    return as_numbers(table.loc[:, ~table.columns.duplicated()], contract)


def as_numbers(table: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Numeric columns as float64: an integer column with a gap would change its type from table to
    table."""
    numbers = columns_of(contract, categorical=False)
    return table.astype(dict.fromkeys(numbers, "float64"))


def columns_of(contract: Contract, *, categorical: bool) -> list[str]:
    """Names of the model's columns of one kind, in its order."""
    columns = [column for column in contract["columns"] if column["categorical"] == categorical]
    return [column["name"] for column in columns]


def all_columns(contract: Contract) -> list[str]:
    return [column["name"] for column in contract["columns"]]


def fitted(contract: Contract, table: pd.DataFrame, trees: int) -> Pipeline:
    """One-hot categories, plain numbers, as many trees as Potluck's model, its parameters for
    houses."""
    numbers = columns_of(contract, categorical=False)
    categories = columns_of(contract, categorical=True)
    encoder = ColumnTransformer(
        [
            ("numbers", "passthrough", numbers),
            ("categories", OneHotEncoder(handle_unknown="ignore"), categories),
        ]
    )
    parameters = {**RANDOM_SPLITS.parameters, "num_iterations": trees, "n_jobs": 1, "verbose": -1}
    model = lightgbm.LGBMRegressor(**parameters)
    label = table[contract["label"]]
    if contract["transform"] == "log":
        label = np.log(label)
    pipeline = Pipeline([("encode", encoder), ("model", model)])
    return pipeline.fit(table[all_columns(contract)], label)


def keep(pipeline: Pipeline, contract: Contract, table: pd.DataFrame, folder: Path) -> None:
    """Save a pipeline as an MLflow model."""
    columns = table[all_columns(contract)]
    signature = infer_signature(columns, pipeline.predict(columns))
    mlflow.sklearn.save_model(
        pipeline,
        folder,
        signature=signature,
        serialization_format="cloudpickle",
    )


def online_rows(store: FeatureStore, contract: Contract, population: pd.DataFrame) -> str:
    """The model's columns of each entity as JSON records, in the population's order; missing is
    null."""
    asked = [field["name"] for field in (*contract["keys"], *contract["request"])]
    rows = records(population[asked])
    service = store.get_feature_service(contract["service"])
    found = store.get_online_features(features=service, entity_rows=rows).to_df()
    return json.dumps(records(found[all_columns(contract)]))


def records(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    objects = table.astype(object)
    return list(objects.where(table.notna(), None).to_dict("records"))


if __name__ == "__main__":
    sys.exit(main())
