"""What is reported of one service's run."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from batch.runs import Manifest
from batch.tasks import Task
from potluck.contract.accounting import Account
from potluck.contract.publication import Pointer


@dataclass(frozen=True)
class RunSummary:
    """What one service's nightly run did."""

    service: str
    status: str
    """`published`, `already done` or `rolled back`."""
    scored_by: str
    model_version: str
    run_id: str
    as_of: datetime
    rows: int
    account: Account | None = None
    """The population's rows; those that are kept have a prediction.

    None where the run's manifest is gone.
    """
    failed_rows: int = 0
    resumed_shards: int = 0
    pruned: int = 0
    forced: str | None = None
    notes: list[str] = field(default_factory=list)
    """What could not be checked."""
    rows_per_second: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    """Step -> seconds.

    `features` and `score` share the time in which both were at work, as their workers did.
    """


def summary_of(
    task: Task,
    pointer: Pointer,
    status: str,
    manifest: Manifest | None,
    *,
    seconds: Mapping[str, float] = MappingProxyType({}),
) -> RunSummary:
    """Summarize the run that is published now.

    Args:
        manifest: of the run that the pointer names; None where it is gone.
        seconds: step -> seconds of this command; empty where it scored nothing.
    """
    summary = RunSummary(
        service=task.publication.service,
        status=status,
        scored_by=task.release.service,
        model_version=pointer.model_version,
        run_id=pointer.run_id,
        as_of=pointer.as_of,
        rows=pointer.rows,
    )
    if manifest is None:
        return summary
    summary = replace(summary, account=manifest.account, failed_rows=manifest.failed_rows)
    if not seconds:
        return summary
    return replace(
        summary,
        resumed_shards=manifest.resumed_shards,
        pruned=manifest.pruned,
        forced=manifest.forced,
        notes=manifest.notes,
        rows_per_second=round(pointer.rows / sum(seconds.values()), 1),
        seconds=dict(seconds),
    )
