"""What MLflow keeps of a training: what was used, on which rows, and how good the model is."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource

from potluck.contract.accounting import Account
from potluck.contract.features import FeatureContract
from training.booster import REPRODUCIBLE
from training.champion import ChampionFigures
from training.dataset import Gathered
from training.evidence import importance_figure
from training.fit import Fitted
from training.measure import Measured
from training.missing import training_shares


def record_run(
    seed: int,
    as_of: datetime,
    served: Fitted,
    measured: Measured,
    gathered: Gathered,
    champion: ChampionFigures | None,
) -> None:
    """Log parameters, metrics, lineage and data to the active run."""
    contract = served.contract
    mlflow.log_params(parameters_of(contract, seed, as_of, measured))
    mlflow.log_metrics(figures_of(measured, gathered.account, champion))
    mlflow.set_tags(lineage_tags(contract))
    mlflow.log_dict(asdict(gathered.account), "account.json")
    if contract.online:
        shares = training_shares(contract, gathered.dataset)
        mlflow.log_dict({"columns": [asdict(share) for share in shares]}, "looked_up.json")
    if measured.classes:
        mlflow.log_dict({"classes": [asdict(each) for each in measured.classes]}, "classes.json")
    mlflow.log_figure(importance_figure(contract.service, served.gains), "feature_importance.png")
    log_data(contract, gathered)


def parameters_of(
    contract: FeatureContract, seed: int, as_of: datetime, measured: Measured
) -> dict[str, Any]:
    """Return what LightGBM was called with, and what Potluck decided."""
    found: dict[str, Any] = {**REPRODUCIBLE, **measured.choice.parameters}
    if contract.objective == "multiclass":
        found["num_class"] = len(contract.classes)
    return found | {
        "objective": contract.objective,
        "seed": seed,
        "as_of": as_of.isoformat(),
        "candidate": measured.choice.candidate,
        "split": measured.split,
        "transform": contract.transform,
        "columns": len(contract.columns),
    }


def figures_of(
    measured: Measured, account: Account, champion: ChampionFigures | None
) -> dict[str, float]:
    rows = {"rows_came": account.came, "rows_kept": account.kept}
    left_out = {each.reason: each.count for each in account.left_out}
    return {
        **measured.metrics,
        **under("baseline", measured.baseline),
        **under("champion", champion.metrics if champion else {}),
        **under("selection", measured.choice.errors),
        **rows,
        **under("left_out", left_out),
    }


def under(head: str, figures: Mapping[str, float]) -> dict[str, float]:
    """Prefix figures, and replace the characters that MLflow refuses in names."""
    return {
        f"{head}.{re.sub('[^A-Za-z0-9]+', '_', name)}": float(value)
        for name, value in figures.items()
    }


def lineage_tags(contract: FeatureContract) -> dict[str, str]:
    assert contract.lineage is not None
    tags = {"potluck.feature_service": contract.service}
    for name, value in asdict(contract.lineage).items():
        if value is not None:
            tags[f"potluck.{name}"] = str(value)
    return tags


def log_data(contract: FeatureContract, gathered: Gathered) -> None:
    dataset = gathered.dataset
    frame = dataset.inputs.table.to_pandas().assign(**{contract.label: dataset.labels})
    source = CodeDatasetSource(
        tags={"feature_service": contract.service, "label": contract.label_source}
    )
    data = mlflow.data.from_pandas(
        frame,
        source=source,
        targets=contract.label,
        name=contract.label_source,
        digest=dataset.digest[:36],
    )
    mlflow.log_input(data, context="training")
