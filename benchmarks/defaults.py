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

from benchmarks.machine import PROJECT, Goal, goals_table, machine, table, write_result
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
    found = {
        f"{name}, seed {seed}": compared(make(seed), seed)
        for name, make in TABLES.items()
        for seed in range(seeds)
    }
    goals = [
        Goal(f"log loss, {name}, over LightGBM's own", each["ratio"], "<=", 1.0)
        for name, each in found.items()
    ]
    print(
        table(
            ("table", "candidate", "log loss", "LightGBM's", "ratio", "choosing"),
            [*map(losses_row, found.items())],
        )
    )
    print("\n" + goals_table(goals))
    data = {"seeds": seeds, "tables": list(TABLES)}
    path = write_result("defaults", surroundings, data, {"log_loss": found}, goals, NOTES)
    print(f"\nwrote {path.relative_to(PROJECT)}")


def compared(made: Made, seed: int) -> Figures:
    """Both on one table."""
    rows = splittable(made)
    parts = split(rows, "time", seed)
    learn, test = (encoded_table(made).take(places) for places in (parts.learn, parts.test))
    began = time.monotonic()
    choice = choose_candidate(
        learn, rows.take(parts.learn), "time", {}, seed, Meter(lambda _: None)
    )
    seconds = time.monotonic() - began
    ours = figures(train_booster(learn, choice.parameters, seed, lambda _: None), test)
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
    shares = booster.predict(test.matrix)
    found = {"log_loss": float(log_loss(test.labels, shares, labels=range(test.classes)))}
    if test.classes == 2:
        found["roc_auc"] = float(roc_auc_score(test.labels, shares))
    return found


def encoded_table(made: Made) -> EncodedTable:
    names = tuple(f"column {number}" for number in range(made.matrix.shape[1]))
    classes = len(np.unique(made.labels))
    return EncodedTable(made.objective, names, made.categorical, made.matrix, made.labels, classes)


def splittable(made: Made) -> Splittable:
    times = [FIRST + timedelta(minutes=minute) for minute in range(len(made.labels))]
    return Splittable("made", times, pa.table({}), made.labels.tolist(), classes=True)


def losses_row(found: tuple[str, Figures]) -> tuple[str, ...]:
    name, each = found
    candidate = f"{each['candidate']} × {each['iterations']}"
    losses = (f"{each[whose]['log_loss']:.4f}" for whose in ("ours", "lightgbm"))
    return (name, candidate, *losses, f"{each['ratio']:.3f}", f"{each['seconds_to_choose']:.1f} s")


if __name__ == "__main__":
    main()
