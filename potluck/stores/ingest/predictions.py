"""The source behind a precomputed service's view: the night writes its history there."""

import pyarrow as pa

from potluck.stores.ingest.csv_cells import ARROW_TYPES, CsvType


def predictions_schema(key: str, key_type: CsvType, label_type: CsvType) -> pa.Schema:
    """What an `ingest.py` answers in place of a table, for the view that `declare.predictions`
    makes.

    Args:
        key: the entity's join key.
        label_type: `float64` for a regression; classes also have their probabilities.
    """
    shares = [] if label_type == "float64" else [("probabilities", pa.string())]
    return pa.schema(
        [
            (key, ARROW_TYPES[key_type]),
            ("event_timestamp", ARROW_TYPES["timestamp"]),
            ("prediction", ARROW_TYPES[label_type]),
            *shares,
            ("model_version", pa.string()),
            ("run_id", pa.string()),
        ]
    )
