"""The rows of a label source: which of them can be learnt from, and why the others can't."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureStore
from feast.data_source import DataSource

from potluck.contract.accounting import (
    AFTER_AS_OF,
    DUPLICATE,
    NO_DATE,
    NO_KEY,
    NO_LABEL,
    OUT_OF_RANGE,
)
from potluck.contract.errors import DataError
from potluck.contract.features import FeatureContract
from potluck.contract.fields import DType, Field
from potluck.contract.moments import EARLIEST, LATEST
from potluck.stores.definitions.publications import read_key
from potluck.stores.parquet.first_records import Mask, mask_of
from potluck.stores.parquet.offline_reads import (
    RANK,
    TIME,
    data_source,
    file_columns,
    parquet_source,
    read_rows,
)
from potluck.stores.parquet.source import read_schema
from training.sieve import Sieve

LABEL_DTYPES: dict[str, DType] = {
    **dict.fromkeys(
        ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"), "int64"
    ),
    **dict.fromkeys(("halffloat", "float", "double"), "float64"),
    **dict.fromkeys(("string", "large_string", "string_view"), "string"),
    "bool": "bool",
}


def read_labelled_rows(store: FeatureStore, contract: FeatureContract, as_of: datetime) -> Sieve:
    """Read the rows that can be learnt from, as far as the label source alone can tell.

    They have a label, a date up to `as_of`, a key and what a request must bring. Each is there
    once, in order of time.

    Raises:
        DefinitionError, MissingStepError: the source is unknown, or was never written.
        DataError: it lacks a column, or holds another type than the declared one.
    """
    source = data_source(store, contract.label_source)
    held = source_columns(store, source)
    entities = known_keys(store, contract, held)
    label = Field(name=contract.label, dtype=label_dtype(contract, held), source="request")
    fields = {field.name: field for field in (*contract.keys, *contract.request, label, *entities)}
    rows = in_order(read_rows(store, source, [*fields.values()]))
    sieve = Sieve(source.name, rows, [field.name for field in entities])
    take_out_undated(sieve, as_of)
    sieve.take_out(NO_LABEL, missing_mask(sieve.rows, contract.label))
    for key in contract.keys:
        sieve.take_out(NO_KEY, missing_mask(sieve.rows, key.name))
    duplicates = superseded_rows(sieve.rows, sieve.names, contract)
    sieve.take_out(DUPLICATE, duplicates)
    take_out_incomplete_requests(sieve, contract.request)
    return sieve


def source_columns(store: FeatureStore, source: DataSource) -> dict[str, str]:
    """Return the source's columns: column, as Feast calls it -> Arrow's name of its type."""
    local = parquet_source(source)
    if local is None:
        return dict(source.get_table_column_names_and_types(store.config))
    schema = read_schema(source.name, local.files[0])  # Feast reads no glob
    held = {field.name: str(field.type) for field in schema}
    found = dict(held)
    for name, column in file_columns(source).items():
        if column in held:
            found[name] = held[column]
    return found


def known_keys(store: FeatureStore, contract: FeatureContract, held: dict[str, str]) -> list[Field]:
    """Find the join keys of the registry's entities that the label source has as columns."""
    names = {entity.join_key for entity in store.list_entities()}
    taken = {field.name for field in (*contract.keys, *contract.request)}
    others = (names & held.keys()) - taken - {contract.label}
    return [*contract.keys, *(read_key(store, name) for name in sorted(others))]


def label_dtype(contract: FeatureContract, held: dict[str, str]) -> DType:
    """Find the label's type: a number for a regression, for classes what the source holds.

    Raises:
        DataError: the source has no such column, or what it holds can't be a label.
    """
    named = f"{contract.label_source}.{contract.label}"
    arrow = held.get(contract.label)
    if arrow is None:
        raise DataError(
            f"source {contract.label_source} has no column {contract.label}, which "
            f"{contract.service} names as label"
        )
    # Arrow names a column of pandas categories by the type of its values.
    found = "string" if arrow.startswith("dictionary<values=string") else LABEL_DTYPES.get(arrow)
    if found is None:
        raise DataError(
            f"{named} holds {arrow}; expected a label of numbers, text or booleans: "
            "convert it at ingest"
        )
    if contract.objective != "regression":
        return found
    if found == "string":
        raise DataError(
            f"{named} holds text; a regression learns a number: write numbers at ingest, "
            "or choose classes"
        )
    return "float64"


def in_order(rows: pa.Table) -> pa.Table:
    """Sort rows by time, then by content, so that the order depends on the rows alone.

    Undated rows come last.
    """
    others = [name for name in rows.column_names if name != TIME]
    return rows.sort_by([(name, "ascending") for name in (TIME, *others)])


def take_out_undated(sieve: Sieve, as_of: datetime) -> None:
    sieve.take_out(NO_DATE, missing_mask(sieve.rows, TIME))
    times = sieve.rows[TIME]
    outside = pc.or_(pc.less(times, instant(EARLIEST)), pc.greater_equal(times, instant(LATEST)))
    sieve.take_out(OUT_OF_RANGE, mask_of(outside))
    sieve.take_out(AFTER_AS_OF, mask_of(pc.greater(sieve.rows[TIME], instant(as_of))))


def superseded_rows(rows: pa.Table, keys: Sequence[str], contract: FeatureContract) -> Mask:
    """Find superseded rows: another row of the same keys, time and request fields counts.

    A row without a key is never superseded.
    """
    if not keys or not rows.num_rows:
        return np.zeros(rows.num_rows, dtype=np.bool_)
    alike = [*keys, TIME, *(field.name for field in contract.request)]
    best = rows.group_by(alike).aggregate([(RANK, "min")])[f"{RANK}_min"]
    gone = ~mask_of(pc.is_in(rows[RANK], value_set=best.combine_chunks()))
    for key in keys:
        gone &= ~missing_mask(rows, key)
    return gone


def take_out_incomplete_requests(sieve: Sieve, fields: Sequence[Field]) -> None:
    """Leave out the rows that HTTP would refuse: a required field has no value and no default."""
    for field in fields:
        if field.must_be_given:
            sieve.take_out(no_value_reason(field), missing_mask(sieve.rows, field.name))


def no_value_reason(field: Field) -> str:
    return f"no value of {field.name}, which is required"


def missing_mask(rows: pa.Table, name: str) -> Mask:
    return mask_of(rows[name].is_null())


def instant(moment: datetime) -> pa.Scalar:
    return pa.scalar(moment, pa.timestamp("us", tz="UTC"))
