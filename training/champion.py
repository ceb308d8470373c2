"""Measure today's champion on the rows that a new model is measured on."""

from dataclasses import dataclass

import numpy as np

from potluck.contract.errors import PotluckError
from potluck.contract.features import FeatureContract
from potluck.contract.settings import Settings
from potluck.scoring.model import Model
from potluck.scoring.releases import Releases
from training.dataset import Dataset
from training.metrics import evaluate


@dataclass(frozen=True)
class ChampionFigures:
    """How well the champion does on the same rows; it was refitted on all rows of its own time."""

    model_version: str
    metrics: dict[str, float]
    rows: int
    seen: int
    """Rows dated up to the champion's as-of date: it may have learnt from them."""
    reason: str = ""
    """Why there are no metrics."""


def champion_figures(
    settings: Settings, contract: FeatureContract, test: Dataset
) -> ChampionFigures | None:
    """Measure the champion of this home; None where the service has no champion here."""
    releases = Releases(settings.releases)
    if contract.service not in releases.services():
        return None
    version = "?"
    try:
        release = releases.champion(contract.service)
        version = release.model_version
        return score_champion(version, releases.open(release), contract, test)
    except PotluckError as error:
        return without_figures(version, f"it can't score these rows: {error}")


def without_figures(version: str, reason: str) -> ChampionFigures:
    return ChampionFigures(version, {}, 0, 0, reason)


def score_champion(
    version: str, model: Model, contract: FeatureContract, test: Dataset
) -> ChampionFigures:
    theirs = model.contract
    lacking = sorted({field.name for field in theirs.inputs} - set(test.inputs.columns))
    if lacking:
        told = f"it reads {', '.join(lacking)}, which the service no longer has"
        return without_figures(version, told)
    if theirs.objective != contract.objective:
        return without_figures(version, f"it is a model of the objective {theirs.objective}")
    known = known_rows(theirs, test)
    if not len(known):
        return without_figures(version, "it knows none of the classes of these rows")
    scored = model.score(known.inputs.columns, known.inputs.times).predictions
    seen = seen_rows(theirs, known)
    return ChampionFigures(version, evaluate(theirs, known.labels, scored), len(known), seen)


def known_rows(contract: FeatureContract, rows: Dataset) -> Dataset:
    """Return the rows whose label is a class of the model; for a regression, all rows."""
    if contract.objective == "regression":
        return rows
    known = set(contract.classes)
    places = [row for row, label in enumerate(rows.labels) if label in known]
    return rows.take(np.array(places, dtype=np.int64))


def seen_rows(contract: FeatureContract, rows: Dataset) -> int:
    """Count the rows that the model may have learnt from: all of them where its date is unknown."""
    as_of = contract.lineage.as_of if contract.lineage else None
    if as_of is None:
        return len(rows)
    return sum(time <= as_of for time in rows.inputs.times)
