"""What a night is made of, and what one service's run answers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from batch.publish import View
from batch.runs import Manifest, now
from potluck.contract.accounting import Account
from potluck.contract.champion import Champion
from potluck.contract.features import Publication
from potluck.contract.publication import Pointer
from potluck.contract.settings import Settings
from potluck.scoring.bundle import Model
from potluck.scoring.releases import Release
from potluck.stores.embedded_redis import client


@dataclass(frozen=True)
class Task:
    """One precomputed service and the champion that fills it."""

    release: Release
    model: Model
    publication: Publication

    @property
    def champion(self) -> Champion:
        return Champion(self.release.model_version, self.model.contract)

    def view(self, settings: Settings) -> View:
        return View(client(settings), self.model.contract.project, self.publication)


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
    """The population's rows; those that are kept have a prediction. None where the run's manifest is gone."""
    failed_rows: int = 0
    resumed_shards: int = 0
    pruned: int = 0
    forced: str | None = None
    notes: list[str] = field(default_factory=list)
    """What could not be checked."""
    rows_per_second: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    """Step -> seconds. `features` and `score` share the time in which both were at work, as their workers did."""


def new_manifest(task: Task, as_of: datetime, token: int, *, forced: str | None) -> Manifest:
    """Of a run that begins; its content will name it."""
    return Manifest(
        service=task.publication.service,
        scored_by=task.release.service,
        model_version=task.release.model_version,
        bundle=task.release.digest,
        run_id="",
        as_of=as_of,
        started_at=now(),
        forced=forced,
        token=token,
    )


def run_id(release: Release, as_of: datetime, fingerprint: str) -> str:
    """Named after all that the predictions depend on: the same run again has the same name."""
    content = "\n".join((release.digest, as_of.isoformat(), fingerprint))
    digest = hashlib.sha256(content.encode()).hexdigest()
    return f"{as_of:%Y%m%dT%H%M%SZ}-v{release.model_version}-{digest[:12]}"


def summary_of(
    task: Task,
    pointer: Pointer,
    status: str,
    manifest: Manifest | None,
    *,
    seconds: Mapping[str, float] = MappingProxyType({}),
) -> RunSummary:
    """A run that is read now.

    Args:
        manifest: of the run that the pointer names; None where it is gone.
        seconds: what this very command took; none where it scored nothing.
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
