"""Which bundles, runs and dates champions, MLflow, runs and publications of a home refer to."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from batch.runs import MANIFEST, Runs
from batch.view import View
from potluck.contract.errors import BundleError, PotluckError
from potluck.contract.features import FeatureContract, read_contract
from potluck.contract.publication import Pointer, Publication
from potluck.contract.settings import Settings
from potluck.redis.embedded import client, ensure_redis
from potluck.scoring.bundle import CONTRACT_FILE
from potluck.scoring.releases import Releases


@dataclass
class References:
    """What is found; where something could not be asked, the sentence that says so."""

    digests: set[str] = field(default_factory=set)
    """Of bundles."""
    run_ids: set[str] = field(default_factory=set)
    as_ofs: set[datetime] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)
    knows_published_runs: bool = True
    """Whether the online store said which runs are published."""


def find_references(settings: Settings) -> References:
    """Ask everybody who may refer to a bundle or a run; who does not answer is a doubt."""
    found = References()
    for add in (add_champions, add_registry, add_published_runs, add_runs, add_logged):
        try:
            add(settings, found)
        except (PotluckError, OSError) as error:
            found.doubts.append(str(error))
            if add is add_published_runs:
                found.knows_published_runs = False
    return found


def add_champions(settings: Settings, found: References) -> None:
    releases = Releases(settings.releases)
    for service in releases.services():
        found.digests.add(releases.champion(service).digest)


def add_registry(settings: Settings, found: References) -> None:
    from training.named import named_digests

    found.digests |= named_digests(settings)


def add_logged(settings: Settings, found: References) -> None:
    """Add the bundles of answers that the inference log still holds: they may be replayed."""
    from monitoring.named import logged_digests

    found.digests |= logged_digests(settings)


def add_published_runs(settings: Settings, found: References) -> None:
    """Add the published runs, and those that can be rolled back to."""
    publications = known_publications(settings)
    if not publications:
        return
    ensure_redis(settings)
    for project, publication in publications:
        found_pointer = View(client(settings), project, publication).read_pointer()
        pointer = found_pointer.pointer
        if found_pointer.content is not None and pointer is None:
            raise BundleError(f"the pointer of {publication.service} can't be read")
        for each in with_previous(pointer):
            found.run_ids.add(each.run_id)
            found.as_ofs.add(each.as_of.astimezone(UTC))
            check_manifest(settings, publication, each)


def check_manifest(settings: Settings, publication: Publication, pointer: Pointer) -> None:
    """
    Raises:
        BundleError: the run's manifest is gone, so that nobody knows which bundle it needs.
    """
    if Runs(settings.home, publication.service).folder(pointer.run_id).read() is None:
        raise BundleError(
            f"run {pointer.run_id} of {publication.service} is published, and its manifest, "
            f"which names the bundle of version {pointer.model_version}, is gone"
        )


def with_previous(pointer: Pointer | None) -> Iterator[Pointer]:
    while pointer is not None:
        yield pointer
        pointer = pointer.previous


def known_publications(settings: Settings) -> list[tuple[str, Publication]]:
    """Project and publication of every model that was laid down here, retired ones included."""
    found = {}
    for contract in laid_down_contracts(settings):
        for publication in contract.publications:
            found[contract.project, publication.view] = publication
    return [(project, publication) for (project, _), publication in found.items()]


def laid_down_contracts(settings: Settings) -> Iterator[FeatureContract]:
    bundles = Releases(settings.releases).bundles
    if not bundles.is_dir():
        return
    for name in sorted(os.listdir(bundles)):
        path = bundles / name / CONTRACT_FILE
        if path.is_file():
            yield read_contract(path.read_bytes())


def add_runs(settings: Settings, found: References) -> None:
    """Add the bundles that runs' manifests name.

    A run may be resumed, and its manifest tells where predictions came from.
    """
    for path in sorted(settings.home.glob("runs/*/*/manifest.json")):
        try:
            found.digests.add(MANIFEST.validate_json(path.read_bytes()).bundle)
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise BundleError(f"{path} can't be read: {reason}") from None
