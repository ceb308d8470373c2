"""Entities without a prediction, by reason."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from batch.publish import Staged, View, predicted_rows
from batch.score import FAILURE
from potluck.contract.accounting import SHOWN, LeftOut

NOT_SCORED = "could not be scored"
NOT_STORED = "could not be stored: the entity's key in Redis holds something else"


def failures_in(tables: Iterable[pa.Table], key: str) -> tuple[LeftOut, ...]:
    """The failed rows of all shards, the most frequent reason first, each reason with its first entities."""
    counts: dict[str, int] = {}
    examples: dict[str, list[str]] = {}
    for table in tables:
        failed = table.filter(table[FAILURE].is_valid())
        for found in pc.value_counts(failed[FAILURE]).to_pylist():
            reason = found["values"]
            counts[reason] = counts.get(reason, 0) + found["counts"]
            named = examples.setdefault(reason, [])
            if len(named) < SHOWN:
                alike = failed.filter(pc.equal(failed[FAILURE], reason)).slice(0, SHOWN - len(named))
                named += [f"{key}={entity}" for entity in alike[key].to_pylist()]
    ordered = sorted(counts, key=lambda reason: -counts[reason])
    return tuple(LeftOut(f"{NOT_SCORED}: {reason}", counts[reason], tuple(examples[reason])) for reason in ordered)


def rejected(staged: Staged, view: View, tables: Iterable[pa.Table]) -> LeftOut:
    """The entities that Redis refused, the first of them by their own names."""
    first = pa.array([key for key, _ in staged.named[:SHOWN]], pa.binary())
    key, named = view.publication.key.name, list[str]()
    for table in tables if len(first) else ():
        rows = predicted_rows(table)
        found = pc.is_in(view.keys(rows), first)
        named += [f"{key}={entity}" for entity in rows[key].filter(found).to_pylist()]
    return LeftOut(NOT_STORED, staged.refused, tuple(named))
