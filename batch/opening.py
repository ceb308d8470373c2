"""The first step of a run: check the population, and name the run after its content."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from batch.admission import refuses_unknown
from batch.history import History
from batch.journal import Journal
from batch.lease import Lease
from batch.request import RunRequest
from batch.runs import Manifest, RunFolder
from batch.view import StoredPointer
from potluck.contract.accounting import Account
from potluck.contract.publication import Pointer
from potluck.scoring.releases import Release
from potluck.stores.parquet.population import Population
from potluck.stores.parquet.shard import Shard


@dataclass(frozen=True)
class LeasedRun:
    """A run that holds the lease: each step gets it beside the values of the steps before."""

    request: RunRequest
    lease: Lease
    found: StoredPointer
    """The pointer as it was found under the lease: without the lease nobody moves it."""
    journal: Journal


@dataclass(frozen=True)
class OpenedRun:
    """A run with a name."""

    run_id: str
    folder: RunFolder
    population: Population
    shards: tuple[Shard, ...]
    rows: Account
    """The rows of the population's source: one of each entity is kept."""
    fingerprint: str
    """Of the sources' content, by which a change while they are read is found."""
    earlier: Manifest | None
    """What a run of this name left, if there was one."""
    published: Pointer | None
    """The pointer, if readers read this very run already."""

    def done_before(self, history: History) -> Pointer | None:
        """Return the pointer if this very run was published before and came to its end."""
        ended = self.earlier is None or self.earlier.status == "published"
        if self.published is None or not ended:
            return None
        kept = history.read_profile(self.published) is not None
        return self.published if kept else None


def open_run(run: LeasedRun) -> OpenedRun:
    """Check the population, and cut it into shards.

    Raises:
        MissingStepError: there is no population, or no row of it counts.
        DataError: a source has not the columns that were declared.
        Refused: the champion looks up what is not there any more, or no feature view holds a
            record.
    """
    request = run.request
    with run.journal.step("validate"):
        population = Population.of(request.store, request.task.champion, request.as_of)
        shards = population.shards(request.settings.nightly_shard_rows)
        rows = population.account(shards)
        fingerprint = population.fingerprint()
        run_id = name_run(request.task.release, request.as_of, fingerprint)
        folder = request.runs.folder(run_id)
        earlier = folder.read()
        run.journal.open(folder, run_id, rows)
        # Looked at only now that the run has a name, so that its manifest tells the refusal.
        if refuses_unknown(request.task.model.contract):
            population.check_views_hold_records()
    found = run.found.pointer
    published = found if found is not None and found.run_id == run_id else None
    return OpenedRun(
        run_id=run_id,
        folder=folder,
        population=population,
        shards=tuple(shards),
        rows=rows,
        fingerprint=fingerprint,
        earlier=earlier,
        published=published,
    )


def new_manifest(request: RunRequest, token: int) -> Manifest:
    """Make the manifest of a run that begins; the run has no name yet.

    Args:
        token: fencing token of the lease.
    """
    release = request.task.release
    return Manifest(
        service=request.task.publication.service,
        scored_by=release.service,
        model_version=release.model_version,
        bundle=release.digest,
        run_id="",
        as_of=request.as_of,
        started_at=datetime.now(UTC),
        forced=request.force,
        token=token,
    )


def name_run(release: Release, as_of: datetime, fingerprint: str) -> str:
    """Name a run after everything that its predictions depend on.

    The same run again has the same name.
    """
    content = "\n".join((release.digest, as_of.isoformat(), fingerprint))
    digest = hashlib.sha256(content.encode()).hexdigest()
    return f"{as_of:%Y%m%dT%H%M%SZ}-v{release.model_version}-{digest[:12]}"
