"""scikit-learn's iris data -> the sources of `definitions.py`: one flower a day from 2020 on."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from potluck.contract.errors import UsageError
from potluck.stores.predictions import predictions_schema

TIMESTAMP = pa.timestamp("us", tz="UTC")
START = datetime(2020, 1, 1, tzinfo=UTC)

# Rows with the same id and date are the same row: one that comes again replaces it.
KEYS = {source: ["flower_id"] for source in ("petals", "population", "observations")}


def ingest(files: Sequence[Path], rows: int, seed: int) -> dict[str, pa.Table | pa.Schema]:
    """Make the sources of the bundled data.

    Args:
        files: refused.
        rows: the most rows to take.
        seed: shuffles the days.

    Returns:
        A table, or the schema of what others fill, by the source's name.
    """
    from sklearn.datasets import load_iris

    if files:
        raise UsageError(f"iris comes with scikit-learn; expected no file, got {files[0]}")
    iris = load_iris()
    order = np.random.default_rng(seed).permutation(len(iris.data))[:rows]
    names = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    measured = pa.table(dict(zip(names, iris.data[order].T)))
    species = pa.array([str(iris.target_names[code]) for code in iris.target[order]])
    days = [START + timedelta(days=day) for day in range(len(order))]
    keys = pa.table(
        {"flower_id": pa.array(order, pa.int64()), "event_timestamp": pa.array(days, TIMESTAMP)}
    )
    visits = beside(keys, measured.select(["sepal_length", "sepal_width"]))
    return {
        "petals": beside(keys, measured.select(["petal_length", "petal_width"])),
        "population": visits,
        "observations": visits.append_column("species", species),
        "predictions": predictions_schema("flower_id", "int64", "string"),
    }


def beside(left: pa.Table, right: pa.Table) -> pa.Table:
    """Two tables of the same length as one."""
    for name in right.column_names:
        left = left.append_column(name, right[name])
    return left
