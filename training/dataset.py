"""The labelled data set of a service, and its split by time."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from feast import FeatureStore

from potluck.contract.errors import DataError
from potluck.contract.features import FeatureContract, Field
from potluck.stores.arrow_types import ARROW_TYPES
from potluck.stores.offline import Inputs, data_source, point_in_time, read_rows

TEST_SHARE = 0.2
FEWEST_ROWS = 20


@dataclass(frozen=True)
class Dataset:
    """Labelled rows in order of time."""

    inputs: Inputs
    labels: list[Any]
    digest: str
    """sha256 of the rows and labels."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: slice) -> "Dataset":
        inputs = self.inputs
        cut = replace(
            inputs,
            keys=inputs.keys[rows],
            times=inputs.times[rows],
            columns={name: values[rows] for name, values in inputs.columns.items()},
            table=inputs.table[rows],
        )
        return replace(self, inputs=cut, labels=self.labels[rows])


def labelled_dataset(store: FeatureStore, contract: FeatureContract, as_of: datetime) -> Dataset:
    """Every label dated up to `as_of`, with the features that were known at its time.

    Raises:
        DataError: the labels are missing, too few, or not what the objective takes.
    """
    source = data_source(store, contract.label_source)
    label = Field(name=contract.label, dtype=label_dtype(store, contract), source="request")
    rows = read_rows(store, source, [*contract.keys, *contract.request, label], as_of)
    rows = rows.filter(rows[contract.label].is_valid())
    if rows.num_rows < FEWEST_ROWS:
        raise DataError(
            f"{source.name} holds {rows.num_rows} labelled rows up to {as_of:%Y-%m-%d}; "
            f"expected at least {FEWEST_ROWS}: ingest more, or take a later --as-of"
        )
    labels = rows[contract.label].to_pylist()
    check_labels(contract, labels)
    inputs = point_in_time(store, contract, rows.drop_columns([contract.label]))
    return Dataset(inputs, labels, digest_of(inputs.table.append_column("label", rows[contract.label])))


def label_dtype(store: FeatureStore, contract: FeatureContract) -> Any:
    """The label's type: a number for a regression, for classes what the source holds."""
    if contract.objective == "regression":
        return "float64"
    source = data_source(store, contract.label_source)
    held = dict(source.get_table_column_names_and_types(store.config)).get(contract.label)
    if held is None:
        raise DataError(f"source {source.name} has no column {contract.label}, which {contract.service} names as label")
    return next((name for name, arrow in ARROW_TYPES.items() if str(arrow) == held), "string")


def check_labels(contract: FeatureContract, labels: list[Any]) -> None:
    if contract.objective == "regression":
        if contract.transform == "log" and min(labels) <= 0:
            raise DataError(
                f"{contract.label_source}.{contract.label} holds {min(labels)}; the transform log takes only "
                "labels above 0"
            )
        return
    classes = len(set(labels))
    if classes < 2 or (contract.objective == "binary" and classes != 2):
        raise DataError(
            f"{contract.label_source}.{contract.label} holds {classes} classes; that is no {contract.objective}"
        )


def split_by_time(dataset: Dataset, test_share: float = TEST_SHARE) -> tuple[Dataset, Dataset]:
    """Earlier and later rows; no moment lies on both sides.

    Raises:
        DataError: all rows have the same time.
    """
    times = dataset.inputs.times
    start = int(len(times) * (1 - test_share))
    while start > 0 and times[start - 1] == times[start]:
        start -= 1
    if start == 0:
        start = next((row for row, time in enumerate(times) if time > times[0]), 0)
    if start == 0:
        raise DataError("every label has the same timestamp; a split by time needs at least two")
    return dataset.take(slice(0, start)), dataset.take(slice(start, None))


def digest_of(table: pa.Table) -> str:
    """sha256 of a table's rows, in hex."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def sample_rows(dataset: Dataset, count: int, seed: int) -> Dataset:
    """Rows drawn by seed, in order, for the golden rows."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(dataset))[:count]).tolist()
    inputs = dataset.inputs
    columns = {name: [values[row] for row in chosen] for name, values in inputs.columns.items()}
    picked = replace(inputs, columns=columns, times=[inputs.times[row] for row in chosen])
    return replace(dataset, inputs=picked, labels=[dataset.labels[row] for row in chosen])
