"""scikit-learn's breast cancer data -> the sources of `definitions.py`.

One diagnosis a day from 2024 on.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from potluck.contract.errors import UsageError
from potluck.stores.predictions import predictions_schema

TIMESTAMP = pa.timestamp("us", tz="UTC")
START = datetime(2024, 1, 1, tzinfo=UTC)
FROM_SLIDE_TO_DIAGNOSIS = timedelta(days=14)

# Rows with the same id and date are the same row: one that comes again replaces it.
KEYS = {source: ["patient_id"] for source in ("slides", "population", "diagnoses")}


def ingest(files: Sequence[Path], rows: int, seed: int) -> dict[str, pa.Table | pa.Schema]:
    """Make the sources of the bundled data.

    Args:
        files: refused.
        rows: the most rows to take.
        seed: shuffles the days.

    Returns:
        A table, or the schema of what others fill, by the source's name.
    """
    from sklearn.datasets import load_breast_cancer

    if files:
        raise UsageError(f"breast_cancer comes with scikit-learn; expected no file, got {files[0]}")
    bundled = load_breast_cancer()
    order = np.random.default_rng(seed).permutation(len(bundled.data))[:rows]
    names = [name.replace(" ", "_") for name in bundled.feature_names]
    measured = dict(zip(names, bundled.data[order].T))
    days = [START + timedelta(days=day) for day in range(len(order))]
    slide_days = [day - FROM_SLIDE_TO_DIAGNOSIS for day in days]
    patients = [f"P{row + 1:04d}" for row in order.tolist()]
    means = {name: values for name, values in measured.items() if name.startswith("mean_")}
    rest = {name: values for name, values in measured.items() if name not in means}
    visits = dated(patients, days, means)
    diagnosis = pa.array([str(bundled.target_names[code]) for code in bundled.target[order]])
    return {
        "slides": dated(patients, slide_days, rest),
        "population": visits,
        "diagnoses": visits.append_column("diagnosis", diagnosis),
        "predictions": predictions_schema("patient_id", "string", "string"),
    }


def dated(
    patients: Sequence[str], days: Sequence[datetime], columns: dict[str, np.ndarray]
) -> pa.Table:
    """Columns beside their patient and day."""
    return pa.table(
        {"patient_id": patients, "event_timestamp": pa.array(days, TIMESTAMP), **columns}
    )
