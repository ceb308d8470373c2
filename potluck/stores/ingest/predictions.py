"""The source behind a precomputed service's view: the night writes its history there."""

import pyarrow as pa

from potluck.contract.publication import PREDICTION, published_row
from potluck.stores.ingest.csv_cells import ARROW_TYPES, CsvType


def predictions_schema(key: str, key_type: CsvType, label_type: CsvType) -> pa.Schema:
    """Return what an `ingest.py` answers in place of a table: the schema of the predictions.

    It is the source of the view that `declare.predictions` makes.

    Args:
        key: the entity's join key.
        label_type: `float64` for a regression; classes also have their probabilities.
    """
    published = published_row("string", with_probabilities=label_type != "float64")
    types = {name: ARROW_TYPES[dtype] for name, dtype in published.items()}
    types[PREDICTION] = ARROW_TYPES[label_type]
    return pa.schema(
        {key: ARROW_TYPES[key_type], "event_timestamp": ARROW_TYPES["timestamp"], **types}
    )
