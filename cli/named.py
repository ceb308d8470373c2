"""Which bundles, runs and dates of a home somebody names: champions, MLflow, runs, publications."""

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
class Named:
    """What is found; where something could not be asked, the sentence that says so."""

    digests: set[str] = field(default_factory=set)
    run_ids: set[str] = field(default_factory=set)
    as_ofs: set[datetime] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)
    knows_runs: bool = True
    """Whether the online store said which runs are published."""


def what_is_named(settings: Settings) -> Named:
    """Ask everybody who may name a bundle or a run; who does not answer is a doubt."""
    named = Named()
    for ask in (champions, registry, publications, runs):
        try:
            ask(settings, named)
        except (PotluckError, OSError) as error:
            named.doubts.append(str(error))
            named.knows_runs = named.knows_runs and ask is not publications
    return named


def champions(settings: Settings, named: Named) -> None:
    releases = Releases(settings.releases)
    named.digests |= {releases.champion(service).digest for service in releases.services()}


def registry(settings: Settings, named: Named) -> None:
    from training.named import named_digests

    named.digests |= named_digests(settings)


def publications(settings: Settings, named: Named) -> None:
    """The published runs, and those that can be rolled back to."""
    known = list(known_publications(settings))
    if not known:
        return
    ensure_redis(settings)
    for project, publication in known:
        found = View(client(settings), project, publication).read_pointer()
        if found.content is not None and found.pointer is None:
            raise BundleError(f"the pointer of {publication.service} can't be read")
        for each in with_previous(found.pointer):
            named.run_ids.add(each.run_id)
            named.as_ofs.add(each.as_of.astimezone(UTC))
            if Runs(settings.home, publication.service).folder(each.run_id).read() is None:
                version = f"version {each.model_version}"
                raise BundleError(
                    f"run {each.run_id} of {publication.service} is published, and its manifest, "
                    f"which names the bundle of {version}, is gone"
                )


def with_previous(pointer: Pointer | None) -> Iterator[Pointer]:
    while pointer is not None:
        yield pointer
        pointer = pointer.previous


def known_publications(settings: Settings) -> list[tuple[str, Publication]]:
    """Project and publication of every model that was laid down here, retired ones included."""
    found = {}
    for contract in contracts(settings):
        for publication in contract.publications:
            found[contract.project, publication.view] = publication
    return [(project, publication) for (project, _), publication in found.items()]


def contracts(settings: Settings) -> Iterator[FeatureContract]:
    bundles = Releases(settings.releases).bundles
    for name in sorted(os.listdir(bundles)) if bundles.is_dir() else []:
        path = bundles / name / CONTRACT_FILE
        if path.is_file():
            yield read_contract(path.read_bytes())


def runs(settings: Settings, named: Named) -> None:
    """Bundles that a run's manifest names: it may be resumed, and it tells where predictions came from."""
    for path in sorted(settings.home.glob("runs/*/*/manifest.json")):
        try:
            named.digests.add(MANIFEST.validate_json(path.read_bytes()).bundle)
        except ValueError as error:
            raise BundleError(f"{path} can't be read: {str(error).splitlines()[0]}") from None
