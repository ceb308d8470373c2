"""Choose parameters on some rows, and measure a model of them on the others."""

from dataclasses import dataclass

import numpy as np

from potluck.contract.errors import DataError
from potluck.contract.features import FeatureContract, SplitKind
from potluck.contract.fields import Literals
from potluck.stores.definitions.feature_contract import Definition
from training.booster import EncodedTable
from training.candidates import SAMPLE_ROWS, ParameterChoice, choose_parameters, count_iterations
from training.champion import known_rows
from training.dataset import Dataset
from training.fit import complete_definition, fit_completed
from training.metrics import ClassFigures, baseline, class_figures, evaluate
from training.parameters import Parameters
from training.progress import Meter
from training.split import Splittable, split, windows


@dataclass(frozen=True)
class Measured:
    """How well a model that learnt from some rows does on the others."""

    split: SplitKind
    choice: ParameterChoice
    metrics: dict[str, float]
    baseline: dict[str, float]
    classes: list[ClassFigures]
    learnt_from: int
    test: Dataset
    """The rows that it was measured on."""
    unheard: dict[Literals, int]
    """Class that none of the rows to learn from has -> rows of it that were not measured."""


def split_and_measure(
    definition: Definition,
    dataset: Dataset,
    kind: SplitKind,
    given: Parameters,
    seed: int,
    meter: Meter,
) -> Measured:
    """Split the rows, choose parameters and fit on one part, and score the other part.

    Scores come from the same code that serves.

    Raises:
        DataError: the rows can't be split in this way, or a class is missing on one side.
        UsageError: they have no key to split by, or LightGBM refuses the parameters.
    """
    rows = dataset.splittable(definition.contract)
    parts = split(rows, kind, seed)
    learn, test = dataset.take(parts.learn), dataset.take(parts.test)
    check_classes(definition.contract, learn, kind)
    contract, table = complete_definition(definition, learn)
    choice = choose_candidate(table, rows.take(parts.learn), kind, given, seed, meter)
    with meter.phase(meter.FIT, int(choice.parameters["num_iterations"])) as progress:
        model = fit_completed(definition, contract, table, choice.parameters, seed, progress).open()
    known = keep_known_classes(contract, test, kind)
    predictions = model.score(known.inputs.columns, known.inputs.times).predictions
    return Measured(
        split=kind,
        choice=choice,
        metrics=evaluate(contract, known.labels, predictions),
        baseline=baseline(contract, learn.labels, known.labels),
        classes=class_figures(contract, learn.labels, known.labels, predictions.values),
        learnt_from=len(learn),
        test=known,
        unheard=unheard_classes(contract, test),
    )


def choose_candidate(
    table: EncodedTable,
    rows: Splittable,
    kind: SplitKind,
    given: Parameters,
    seed: int,
    meter: Meter,
) -> ParameterChoice:
    """Choose a candidate on these learning rows, or on a sample of them."""
    if len(table) > SAMPLE_ROWS:
        drawn = np.random.default_rng(seed).permutation(len(table))[:SAMPLE_ROWS]
        sample = np.sort(drawn)  # a split by time needs the rows in their order
        table, rows = table.take(sample), rows.take(sample)
    splits = windows(rows, kind, seed)
    with meter.phase(meter.CHOOSE, count_iterations(table, splits, given)) as progress:
        return choose_parameters(table, splits, given, seed, progress)


def check_classes(contract: FeatureContract, learn: Dataset, kind: SplitKind) -> None:
    """Check that there are classes to learn from.

    Raises:
        DataError: there is only one class.
    """
    if contract.objective != "regression" and len(set(learn.labels)) < 2:
        side = "earlier" if kind == "time" else "learning"
        raise DataError(
            f"all {len(learn)} {side} rows of {contract.label_source} have the "
            f"{contract.label} {learn.labels[0]!r}, and a model needs two classes to learn from; "
            f"train with {other_split(kind)}, or ingest more"
        )


def keep_known_classes(contract: FeatureContract, test: Dataset, kind: SplitKind) -> Dataset:
    """Keep the rows to measure on whose class the model knows.

    Raises:
        DataError: there is no such row.
    """
    known = known_rows(contract, test)
    if not len(known):
        raise DataError(
            f"none of the {len(test)} rows to measure on has a class that the other rows of "
            f"{contract.label_source} hold; train with {other_split(kind)}"
        )
    return known


def other_split(kind: SplitKind) -> str:
    return "another --seed" if kind == "random" else "--split random"


def unheard_classes(contract: FeatureContract, test: Dataset) -> dict[Literals, int]:
    """Count the rows of classes that the model did not learn."""
    if contract.objective == "regression":
        return {}
    unheard = sorted(set(test.labels) - set(contract.classes))
    return {label: test.labels.count(label) for label in unheard}
