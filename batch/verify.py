"""What must hold before a run is published, and what should: a reason may overrule a threshold."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch.admission import UNKNOWN
from batch.profile import Predicted, Profile, count_predictions, share_outside, stability_index
from batch.publish import stored_columns, values_of
from batch.runs import Check
from batch.view import View
from potluck.contract.accounting import LeftOut
from potluck.contract.errors import Refused, ServiceUnreachable
from potluck.contract.publication import PREDICTION, Pointer, StoredPredictions
from potluck.contract.redis_format import DamagedValueError, Scalar
from potluck.contract.settings import Settings
from potluck.redis.client import REDIS_ERRORS, is_wrong_type
from potluck.scoring.transform import class_name

TAG_AS_MISSING = "tag their feature view unknown=missing and train again"
WHERE_NORMAL = f"; where entities are unknown by nature, {TAG_AS_MISSING}"


@dataclass(frozen=True)
class RunOutcome:
    """What a run came to, before it is published."""

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
        return count_predictions(self.values)


def must_hold(outcome: RunOutcome) -> list[Check]:
    """Check what no reason overrules.

    Every entity is accounted for, and every prediction is a number.
    """
    lost = outcome.population - outcome.rows - outcome.failed
    wild = 0
    if not isinstance(outcome.values, dict):
        wild = int(np.count_nonzero(~np.isfinite(outcome.values)))
    wanted = f"expected one prediction for each of {outcome.population} entities"
    told = f"{wanted}, got {outcome.rows} and {outcome.failed} failures"
    return [
        Check("complete", abs(lost), 0, lost == 0, told),
        Check("finite", wild, 0, wild == 0, f"{wild} predictions are not finite; train again"),
    ]


def not_earlier(as_of: datetime, current: Pointer | None) -> list[Check]:
    """Check that the run is not of an earlier date than the published one.

    A run that catches up a missed night may be: its predictions are older than those it replaces.
    """
    if current is None:
        return []
    days = (current.as_of.astimezone(UTC) - as_of) / timedelta(days=1)
    published = f"the published run is as of {current.as_of.isoformat()}"
    told = f"{published}, this one of {as_of.isoformat()}"
    return [Check("days earlier", max(days, 0.0), 0, days <= 0, told)]


def should_hold(outcome: RunOutcome, last: Profile | None, settings: Settings) -> list[Check]:
    """Check the thresholds of the settings, most of them against the published run.

    Args:
        last: of the published run; None where nothing is published, or its history is gone.
    """
    missing = outcome.failed + outcome.rejected.count
    share = missing / max(1, outcome.population)
    told = f"{missing} of {outcome.population} entities have no prediction{reasons_of(outcome)}"
    checks = [at_most("failed share", share, settings.nightly_max_failed, told)]
    if last is not None:
        checks += like_last(outcome, last, settings)
    return checks


def like_last(outcome: RunOutcome, last: Profile, settings: Settings) -> Iterator[Check]:
    """Compare a run with the published one."""
    if last.rows:
        change = abs(outcome.rows / last.rows - 1)
        told = f"{outcome.rows} rows after {last.rows} last time"
        yield at_most("change of rows", change, settings.nightly_max_rows_change, told)
    outside = share_outside(last, outcome.values)
    if outside is not None:
        told = f"predictions beyond last time's {last.lowest} to {last.highest}"
        yield at_most("share out of range", outside, settings.nightly_max_outside, told)
    index = stability_index(last, outcome.values)
    if index is not None:
        told = "the distribution of predictions moved"
        yield at_most("stability index", index, settings.nightly_max_drift, told)


def at_most(name: str, value: float, limit: float, told: str) -> Check:
    """Return the check of one threshold."""
    text = f"{told}: {name} {value:.4g}, expected at most {limit:g}"
    return Check(name, value, limit, value <= limit, text)


def reasons_of(outcome: RunOutcome) -> str:
    """Say why entities have no prediction, and what to do where the store does not know them."""
    reasons = [each for each in (*outcome.failures, outcome.rejected) if each.count]
    if not reasons:
        return ""
    told = "; ".join(each.text() for each in reasons)
    unknown = any(each.reason.endswith(UNKNOWN) for each in reasons)
    remedy = WHERE_NORMAL if unknown else ""
    return f" ({told}{remedy})"


def refuse_failed_checks(checks: Sequence[Check], way_out: str = "") -> None:
    """Refuse the run where a check does not hold.

    Args:
        way_out: what the caller may do about it.

    Raises:
        Refused: a check does not hold.
    """
    broken = [check.told for check in checks if not check.holds]
    if broken:
        raise Refused(f"{'; '.join(broken)}; the last published run stays{way_out}")


def verify_staged(view: View, sample: pa.Table, pointer: Pointer, refused: int) -> None:
    """Read a sample of the idle slot back through the server's own reader.

    Args:
        sample: scored rows.
        refused: entities that Redis refused, as their key holds something else than a hash. Where
            there are none, no reply may say so.

    Raises:
        Refused: a row reads back as something else than was written.
        ServiceUnreachable: Redis went away.
    """
    reader = StoredPredictions(view.publication)
    replies = read_stored_rows(view, sample, reader)
    entities = sample[view.publication.key.name].to_pylist()
    rows = written_rows(view, sample, pointer)
    for entity, row, reply in zip(entities, rows, replies, strict=True):
        if refused and is_wrong_type(reply):
            continue
        if read_back(reader, reply, pointer) != row:
            found = f"the prediction of {entity} does not read back as it was written"
            raise Refused(f"{found}; the last run stays")


def read_stored_rows(view: View, sample: pa.Table, reader: StoredPredictions) -> list[Any]:
    """Ask Redis for what it holds of these entities; an error of one is its reply."""
    pipe = view.client.pipeline(transaction=False)
    for key in view.keys(sample).to_pylist():
        pipe.execute_command("HMGET", key, *reader.fields)
    try:
        replies: list[Any] = pipe.execute(raise_on_error=False)
    except REDIS_ERRORS as error:
        stays = "the last published run is still read"
        raise ServiceUnreachable(f"Redis went away ({error}); {stays}") from None
    return replies


def written_rows(view: View, sample: pa.Table, pointer: Pointer) -> list[dict[str, Scalar]]:
    """Return what was written of each row of the sample."""
    columns = stored_columns(view.publication, sample, pointer)
    names = [field.name for field in view.publication.features]
    lists = [values_of(columns.get(name), sample.num_rows) for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]


def read_back(reader: StoredPredictions, reply: Any, pointer: Pointer) -> dict[str, Scalar] | None:
    """Return a row by the server's reader; None where the key holds something else."""
    if not isinstance(reply, list):
        return None
    try:
        return reader.row(reply, pointer)
    except DamagedValueError:
        return None


def spread_rows(table: pa.Table, rows: int) -> pa.Table:
    """Take a few rows, at even distances from the first to the last."""
    count = min(rows, table.num_rows)
    places = np.linspace(0, table.num_rows - 1, count).astype(np.int64)
    return table.take(pa.array(np.unique(places)))


def predictions_in(tables: Iterable[pa.Table]) -> Predicted:
    """Join what all shards predicted: numbers, or how often each label."""
    whole = pa.concat_tables(table.select([PREDICTION]) for table in tables)[PREDICTION]
    if pa.types.is_floating(whole.type):
        return np.asarray(whole.to_numpy())
    counts = pc.value_counts(whole).to_pylist()
    return {class_name(found["values"]): found["counts"] for found in counts}
