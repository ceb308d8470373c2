"""The labelled data set of a service: the rows that HTTP would have answered, point in time."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureStore

from potluck.contract.accounting import NO_LABEL, UNKNOWN_ENTITY, Account
from potluck.contract.errors import DataError, Refused
from potluck.contract.features import FeatureContract
from potluck.stores.parquet.first_records import (
    FIRST,
    first_records,
    join_keys,
    policy_of_keys,
    too_early,
    unknown,
)
from potluck.stores.parquet.offline_reads import TIME, Inputs, point_in_time
from training.booster import Places
from training.labels import no_value_reason, read_labelled_rows
from training.sieve import Sieve
from training.split import Splittable

FEWEST_ROWS = 20
FEWEST_PER_CLASS = 2
SHOWN_CLASSES = 5


@dataclass(frozen=True)
class Dataset:
    """Labelled rows in order of time."""

    inputs: Inputs
    labels: list[Any]
    entities: pa.Table
    """Every join key of the registry that the label source has as a column."""
    digest: str
    """sha256 of the rows and labels."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Places) -> "Dataset":
        """Take some of the rows, by number."""
        chosen = rows.tolist()
        labels = [self.labels[row] for row in chosen]
        entities = self.entities.take(pa.array(chosen, pa.int64()))
        return replace(self, inputs=self.inputs.take(chosen), labels=labels, entities=entities)

    def splittable(self, contract: FeatureContract) -> Splittable:
        """Describe the rows to a split.

        A service without join keys is split by those that its label source has as columns.
        """
        entities = self.inputs.keys if contract.keys else self.entities
        classes = contract.objective != "regression"
        return Splittable(contract.label_source, self.inputs.times, entities, self.labels, classes)


@dataclass(frozen=True)
class Gathered:
    """What a label source gave, before it is checked."""

    dataset: Dataset
    account: Account
    first_record: datetime | None
    """The earliest record of the views that the service looks up."""
    last_label: datetime | None
    """The latest label that could have been learnt from if its entity was known."""
    unknown: dict[tuple[str, ...], float]
    """Join keys -> share of the labelled rows whose entity had no record yet."""
    too_early: bool
    """Whether, for most labelled rows, all records of an entity are dated after the label."""

    @property
    def labelled(self) -> int:
        """Rows with a label, even if they lack something else."""
        return self.account.came - self.account.count(NO_LABEL)


def labelled_dataset(store: FeatureStore, contract: FeatureContract, as_of: datetime) -> Dataset:
    """Read every label dated up to `as_of` that can be learnt from, with the features of its time.

    Raises:
        As `gather` and `check_gathered`.
    """
    gathered = gather(store, contract, as_of)
    check_gathered(contract, gathered, as_of)
    return gathered.dataset


def gather(store: FeatureStore, contract: FeatureContract, as_of: datetime) -> Gathered:
    """Read the rows of the label source that HTTP would have answered, and account for the others.

    Raises:
        DefinitionError, MissingStepError: a source is unknown, or was never written.
        DataError: a source lacks a column, or holds another type than the declared one.
    """
    sieve = read_labelled_rows(store, contract, as_of)
    last = sieve.rows[TIME][-1].as_py() if sieve.rows.num_rows else None
    firsts = {keys: first_records(store, contract, keys) for keys in join_keys(contract)}
    shares = {}
    early = False
    for keys, first in firsts.items():
        if sieve.rows.num_rows:
            shares[keys] = float(unknown(sieve.rows, first).mean())
            early |= bool(2 * too_early(sieve.rows, first).sum() > sieve.rows.num_rows)
    # In a second loop: the shares are those of all labelled rows, before any is taken out.
    for keys, first in firsts.items():
        if policy_of_keys(contract, keys) == "refuse":
            sieve.take_out(UNKNOWN_ENTITY, unknown(sieve.rows, first))
    inputs = take_out_incomplete_lookups(
        sieve, contract, point_in_time(store, contract, sieve.rows)
    )
    rows = sieve.rows
    digest = table_digest(inputs.table.append_column("label", rows[contract.label]))
    dataset = Dataset(inputs, rows[contract.label].to_pylist(), rows.select(sieve.names), digest)
    return Gathered(dataset, sieve.account(), earliest(firsts.values()), last, shares, early)


def earliest(firsts: Iterable[pa.Table]) -> datetime | None:
    """Return the earliest of all first records; None where there is no record."""
    moments = [pc.min(first[FIRST]).as_py() for first in firsts]
    return min((moment for moment in moments if moment is not None), default=None)


def take_out_incomplete_lookups(sieve: Sieve, contract: FeatureContract, inputs: Inputs) -> Inputs:
    """Leave out rows without a looked-up value that is required and has no default."""
    for field in contract.online:
        if field.must_be_given:
            gone = np.array([value is None for value in inputs.columns[field.name]], dtype=np.bool_)
            sieve.take_out(no_value_reason(field), gone)
            inputs = inputs.take(np.flatnonzero(~gone).tolist())
    return inputs


def check_gathered(contract: FeatureContract, gathered: Gathered, as_of: datetime) -> None:
    """Check that a model can be trained on these rows.

    Raises:
        Refused: what the service looks up is missing in every row.
        DataError: there are too few rows, or their labels do not fit the objective.
    """
    refuse_empty(contract, gathered)
    rows = len(gathered.dataset)
    if rows < FEWEST_ROWS:
        raise DataError(
            f"{contract.service} has {rows} rows to learn from up to {as_of:%Y-%m-%d}; "
            f"expected at least {FEWEST_ROWS}: ingest more, or take a later --as-of "
            f"({gathered.account.text()})"
        )
    check_labels(contract, gathered.dataset.labels)


def refuse_empty(contract: FeatureContract, gathered: Gathered) -> None:
    """Refuse rows in which every looked-up column is missing.

    Raises:
        Refused: a model would learn nothing from what the store brings online.
    """
    columns = [gathered.dataset.inputs.columns[field.name] for field in contract.online]
    came = len(gathered.dataset) or gathered.account.count(UNKNOWN_ENTITY)
    if not columns or not came:
        return
    if any(value is not None for value in chain.from_iterable(columns)):
        return
    first, last = gathered.first_record, gathered.last_label
    views = ", ".join(view.name for view in contract.views)
    what = f"all {len(columns)} looked-up columns of {contract.service}"
    head = f"{what} are missing in every training row"
    if first is None:
        raise Refused(
            f"{head}: {views} holds no dated record; ingest the records, each with the day it was "
            "known from"
        )
    if gathered.too_early:
        raise Refused(
            f"{head}: the records of {views} are dated after the labels of their entities "
            f"(the earliest record {first:%Y-%m-%d}, the latest label {last:%Y-%m-%d}), and a row "
            "learns only from records dated up to its label; date the records before the labels "
            "(the day each was known from, or one day before every label) and ingest again"
        )
    raise Refused(
        f"{head}, though {views} holds records from {first:%Y-%m-%d} on: no label finds one of its "
        "own key, dated up to it and not older than the view's ttl, that holds a value; compare "
        f"keys and dates of {contract.label_source} with those of {views}"
    )


def check_labels(contract: FeatureContract, labels: list[Any]) -> None:
    """Check that the labels fit the objective.

    Raises:
        DataError: they do not.
    """
    named = f"{contract.label_source}.{contract.label}"
    if contract.objective == "regression":
        check_numbers(contract, named, labels)
        return
    classes = len(set(labels))
    if classes < 2 or (contract.objective == "binary" and classes != 2):
        shown = ", ".join(repr(label) for label in sorted(set(labels))[:SHOWN_CLASSES])
        raise DataError(
            f"{named} holds {classes} classes ({shown}); that is no {contract.objective}: "
            "correct the labels, or the tag objective"
        )
    if classes * FEWEST_PER_CLASS > len(labels):
        raise DataError(
            f"{named} holds {classes} classes in {len(labels)} rows; expected at least "
            f"{FEWEST_PER_CLASS} rows of a class on average: is it a number to learn by "
            "regression, or an id?"
        )


def check_numbers(contract: FeatureContract, named: str, labels: list[float]) -> None:
    if not all(map(math.isfinite, labels)):
        raise DataError(f"{named} holds an infinite number; leave such rows without a label")
    if contract.transform == "log" and min(labels) <= 0:
        raise DataError(
            f"{named} holds {min(labels):g}; the transform log takes only labels above 0: "
            "leave such rows without a label, or take the tag transform away"
        )


def table_digest(table: pa.Table) -> str:
    """Return the sha256 of a table's rows, in hex."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return hashlib.sha256(sink.getvalue()).hexdigest()


def sample_rows(dataset: Dataset, count: int, seed: int) -> Dataset:
    """Draw rows by seed, and keep them in order."""
    drawn = np.random.default_rng(seed).permutation(len(dataset))[:count]
    return dataset.take(np.sort(drawn))
