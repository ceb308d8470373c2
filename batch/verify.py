"""What must hold before a run is published, and what should: a threshold may be overruled with a reason."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import redis

from batch.admission import UNKNOWN
from batch.profile import Predicted, Profile, rows_of, share_outside, stability_index
from batch.publish import View, stored_columns
from batch.runs import Check
from batch.score import PREDICTION
from potluck.contract.accounting import LeftOut
from potluck.contract.errors import Refused, ServiceUnreachable
from potluck.contract.publication import Pointer, StoredPredictions
from potluck.contract.redis_format import DamagedValueError, Scalar
from potluck.contract.settings import Settings
from potluck.scoring.transform import class_name
from potluck.stores.redis_client import REDIS_ERRORS

SAMPLE_ROWS = 1_000
WHERE_NORMAL = "; where entities are unknown by nature, tag their feature view unknown=missing and train again"


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    population: int
    failures: tuple[LeftOut, ...]
    """Entities that could not be scored, by reason."""
    rejected: LeftOut
    """Entities that could not be stored."""
    values: Predicted
    """What was predicted."""

    @property
    def failed(self) -> int:
        return sum(each.count for each in self.failures)

    @property
    def rows(self) -> int:
        return rows_of(self.values)


def must_hold(outcome: Outcome) -> list[Check]:
    """What no reason overrules: every entity is accounted for, and every prediction is a number."""
    lost = outcome.population - outcome.rows - outcome.failed
    wild = 0 if isinstance(outcome.values, dict) else int(np.count_nonzero(~np.isfinite(outcome.values)))
    told = f"expected one prediction for each of {outcome.population} entities, got {outcome.rows}"
    return [
        Check("complete", abs(lost), 0, lost == 0, f"{told} and {outcome.failed} failures"),
        Check("finite", wild, 0, wild == 0, f"{wild} predictions are not finite; train again"),
    ]


def not_earlier(as_of: datetime, current: Pointer | None) -> list[Check]:
    """A run of an earlier date than the published one, as when a missed night is caught up, is no news."""
    if current is None:
        return []
    days = (current.as_of.astimezone(UTC) - as_of) / timedelta(days=1)
    told = f"the published run is as of {current.as_of.isoformat()}, this one of {as_of.isoformat()}"
    return [Check("days earlier", max(days, 0.0), 0, days <= 0, told)]


def should_hold(outcome: Outcome, last: Profile | None, settings: Settings) -> list[Check]:
    """The thresholds of the settings, most of them against the run that is read now."""
    missing = outcome.failed + outcome.rejected.count
    share = missing / max(1, outcome.population)
    told = f"{missing} of {outcome.population} entities have no prediction{reasons_of(outcome)}"
    found: list[tuple[str, float | None, float, str]] = [("failed share", share, settings.nightly_max_failed, told)]
    if last is not None:
        change = abs(outcome.rows / last.rows - 1) if last.rows else None
        found += [
            (
                "change of rows",
                change,
                settings.nightly_max_rows_change,
                f"{outcome.rows} rows after {last.rows} last time",
            ),
            (
                "share out of range",
                share_outside(last, outcome.values),
                settings.nightly_max_outside,
                f"predictions beyond last time's {last.lowest} to {last.highest}",
            ),
            (
                "stability index",
                stability_index(last, outcome.values),
                settings.nightly_max_drift,
                "the distribution of predictions moved",
            ),
        ]
    return [
        Check(name, value, limit, value <= limit, f"{told}: {name} {value:.4g}, expected at most {limit:g}")
        for name, value, limit, told in found
        if value is not None
    ]


def reasons_of(outcome: Outcome) -> str:
    """Why entities have no prediction, and what to do where the feature store does not know them."""
    reasons = [each for each in (*outcome.failures, outcome.rejected) if each.count]
    if not reasons:
        return ""
    told = "; ".join(each.text() for each in reasons)
    unknown = any(each.reason.endswith(UNKNOWN) for each in reasons)
    return f" ({told}{WHERE_NORMAL if unknown else ''})"


def refuse(checks: Sequence[Check], way_out: str = "") -> None:
    """
    Args:
        way_out: what the caller may do about it.

    Raises:
        Refused: a check does not hold.
    """
    broken = [check for check in checks if not check.holds]
    if broken:
        raise Refused(f"{'; '.join(check.told for check in broken)}; the last published run stays{way_out}")


def verify_staged(view: View, sample: pa.Table, pointer: Pointer, refused: int) -> None:
    """Read a sample of the idle slot back through the server's own reader.

    Args:
        sample: scored rows.
        refused: entities that Redis refused, as their key holds something else; if none, no reply may say so.

    Raises:
        Refused: a row reads back as something else than was written.
        ServiceUnreachable: Redis went away.
    """
    reader = StoredPredictions(view.publication)
    keys = view.keys(sample).to_pylist()
    pipe = view.client.pipeline(transaction=False)
    for key in keys:
        pipe.execute_command("HMGET", key, *reader.fields)
    try:
        replies = pipe.execute(raise_on_error=False)
    except REDIS_ERRORS as error:
        raise ServiceUnreachable(f"Redis went away ({error}); the last published run is still read") from None
    entities = sample[view.publication.key.name].to_pylist()
    for entity, row, reply in zip(entities, written(view, sample, pointer), replies, strict=True):
        if not (refused and is_another_type(reply)) and read_back(reader, reply, pointer) != row:
            raise Refused(f"the prediction of {entity} does not read back as it was written; the last run stays")


def written(view: View, sample: pa.Table, pointer: Pointer) -> list[dict[str, Scalar]]:
    columns = stored_columns(view.publication, sample, pointer)
    names = [field.name for field in view.publication.features]
    lists = [
        column.to_pylist() if isinstance(column := columns.get(name), pa.Array) else [column] * sample.num_rows
        for name in names
    ]
    return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]


def is_another_type(reply: Any) -> bool:
    return isinstance(reply, redis.ResponseError) and str(reply).startswith("WRONGTYPE")


def read_back(reader: StoredPredictions, reply: Any, pointer: Pointer) -> dict[str, Scalar] | None:
    """A row by the server's reader; None where the key holds something else."""
    try:
        return reader.row(reply, pointer) if isinstance(reply, list) else None
    except DamagedValueError:
        return None


def spread(table: pa.Table, rows: int) -> pa.Table:
    """A few rows from the first to the last."""
    places = np.unique(np.linspace(0, table.num_rows - 1, min(rows, table.num_rows)).astype(np.int64))
    return table.take(pa.array(places))


def predicted(tables: Iterable[pa.Table]) -> Predicted:
    """What all shards predicted: numbers, or how often each label."""
    columns = [table[PREDICTION] for table in tables]
    whole = pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type)
    if pa.types.is_floating(whole.type):
        return np.asarray(whole.to_numpy())
    counts = pc.value_counts(whole).to_pylist()
    return {class_name(found["values"]): found["counts"] for found in counts}
