"""Potluck's chosen parameters beside LightGBM's own defaults, on tables of an unseen kind and the
same split.

    python -m benchmarks.defaults [--seeds 3]

Both learn from the earlier four fifths and are measured on the latest fifth. LightGBM:
`lightgbm.train` with no parameter but the objective, 100 rounds, categories by their codes.
Potluck: `training.candidates.choose` on the learning rows, as `potluck train` does it.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import lightgbm
import numpy as np
import pyarrow as pa
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.machine import Goal, goals_table, machine, print_written, table, write_result
from benchmarks.tables import TABLES, Made
from training.booster import EncodedTable, lightgbm_data, train_booster
from training.measure import choose_candidate
from training.progress import Meter
from training.split import Splittable, split

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
ROUNDS = 100
NOTES = (
    (
        f"LightGBM's own: lightgbm.train(objective, {ROUNDS} rounds, categorical_feature); no "
        "other parameter."
    ),
    (
        "The tables are made by benchmarks/tables.py; the rows are in order of time, and the "
        "latest fifth is measured on."
    ),
)

Figures = Mapping[str, Any]


@click.command()
@click.option("--seeds", default=3, show_default=True, help="How many tables to make of each kind.")
def main(seeds: int) -> None:
    """Choose, fit, compare."""
    surroundings = machine()
    found, goals = {}, []
    for kind, make in TABLES.items():
        for seed in range(seeds):
            name = f"{kind}, seed {seed}"
            found[name] = compared(make(seed), seed)
            ratio = found[name]["ratio"]
            goals.append(Goal(f"log loss, {name}, over LightGBM's own", ratio, "<=", 1.0))
    heads = ("table", "candidate", "log loss", "LightGBM's", "ratio", "choosing")
    print(table(heads, [losses_row(name, each) for name, each in found.items()]))
    print("\n" + goals_table(goals))
    data = {"seeds": seeds, "tables": list(TABLES)}
    figures = {"log_loss": found}
    print_written(write_result("defaults", surroundings, data, figures, goals, NOTES))


def compared(made: Made, seed: int) -> Figures:
    """Both on one table."""
    rows = splittable(made)
    parts = split(rows, "time", seed)
    encoded = encoded_table(made)
    learn = encoded.take(parts.learn)
    test = encoded.take(parts.test)
    began = time.monotonic()
    quiet = Meter(lambda _: None)
    choice = choose_candidate(learn, rows.take(parts.learn), "time", {}, seed, quiet)
    seconds = time.monotonic() - began
    booster = train_booster(learn, choice.parameters, seed, lambda _: None)
    ours = figures(booster, test)
    theirs = figures(plain_lightgbm(learn), test)
    return {
        "rows": len(rows),
        "classes": learn.classes,
        "candidate": choice.candidate,
        "iterations": choice.parameters["num_iterations"],
        "held_back": choice.errors,
        "ours": ours,
        "lightgbm": theirs,
        "ratio": round(ours["log_loss"] / theirs["log_loss"], 4),
        "seconds_to_choose": round(seconds, 2),
    }


def plain_lightgbm(learn: EncodedTable) -> lightgbm.Booster:
    classes = {"num_class": learn.classes} if learn.objective == "multiclass" else {}
    parameters = {"objective": learn.objective, **classes, "verbosity": -1, "num_threads": 1}
    return lightgbm.train(parameters, lightgbm_data(learn), num_boost_round=ROUNDS)


def figures(booster: lightgbm.Booster, test: EncodedTable) -> dict[str, float]:
    """Log loss of the latest rows, and of two classes ROC AUC too."""
    shares = booster.predict(test.matrix)
    loss = log_loss(test.labels, shares, labels=range(test.classes))
    found = {"log_loss": float(loss)}
    if test.classes == 2:
        found["roc_auc"] = float(roc_auc_score(test.labels, shares))
    return found


def encoded_table(made: Made) -> EncodedTable:
    """The table as training encodes one."""
    _, width = made.matrix.shape
    return EncodedTable(
        objective=made.objective,
        names=tuple(f"column {number}" for number in range(width)),
        categorical=made.categorical,
        matrix=made.matrix,
        labels=made.labels,
        classes=len(np.unique(made.labels)),
    )


def splittable(made: Made) -> Splittable:
    """The rows a minute apart, in their order."""
    count = len(made.labels)
    times = [FIRST + timedelta(minutes=minute) for minute in range(count)]
    return Splittable("made", times, pa.table({}), made.labels.tolist(), classes=True)


def losses_row(name: str, found: Figures) -> tuple[str, ...]:
    return (
        name,
        f"{found['candidate']} × {found['iterations']}",
        f"{found['ours']['log_loss']:.4f}",
        f"{found['lightgbm']['log_loss']:.4f}",
        f"{found['ratio']:.3f}",
        f"{found['seconds_to_choose']:.1f} s",
    )


if __name__ == "__main__":
    main()
