"""Entities without a prediction, by reason."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from batch.publish import Staged, predicted_rows
from batch.score import FAILURE
from batch.view import View
from potluck.contract.accounting import SHOWN, LeftOut

NOT_SCORED = "could not be scored"
NOT_STORED = "could not be stored: the entity's key in Redis holds something else"


def failures_in(tables: Iterable[pa.Table], key: str) -> tuple[LeftOut, ...]:
    """Count the failed rows of all shards.

    Returns:
        The most frequent reason first, each with its first entities.
    """
    counts: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    for table in tables:
        failed = table.filter(table[FAILURE].is_valid())
        for found in pc.value_counts(failed[FAILURE]).to_pylist():
            reason = found["values"]
            counts[reason] = counts.get(reason, 0) + found["counts"]
            named = examples.setdefault(reason, [])
            if len(named) < SHOWN:
                alike = failed.filter(pc.equal(failed[FAILURE], reason))
                named += name_entities(alike.slice(0, SHOWN - len(named)), key)
    ordered = sorted(counts, key=lambda reason: -counts[reason])
    found = []
    for reason in ordered:
        found.append(LeftOut(f"{NOT_SCORED}: {reason}", counts[reason], tuple(examples[reason])))
    return tuple(found)


def name_entities(rows: pa.Table, key: str) -> list[str]:
    """Name entities as a person finds them again."""
    return [f"{key}={entity}" for entity in rows[key].to_pylist()]


def name_rejected(staged: Staged, view: View, tables: Iterable[pa.Table]) -> LeftOut:
    """Name the first entities that Redis refused, by key column and value."""
    key, named = view.publication.key.name, list[str]()
    first = pa.array([name for name, _ in staged.named[:SHOWN]], pa.binary())
    if not len(first):  # the usual case: no shard has to be read again
        return LeftOut(NOT_STORED, staged.refused)
    for table in tables:
        rows = predicted_rows(table)
        named += name_entities(rows.filter(pc.is_in(view.keys(rows), first)), key)
    return LeftOut(NOT_STORED, staged.refused, tuple(named))
