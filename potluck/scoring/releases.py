"""The bundles that a home holds, and which of them is each service's champion.

releases/
  champions/<service>.json   service, digest, model_version, format; replaced at promotion and
                             rollback
  bundles/<digest>/          a bundle, laid down once
  receipts/                  which bundle passed its check under which libraries
"""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO, TypeAlias

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from potluck.contract.errors import BundleError, MissingStepError, NewerFormat
from potluck.contract.features import FeatureContract, read_contract
from potluck.contract.files import copy_synced, staging_folder, sync_folder, write_whole
from potluck.contract.formats import NEWEST, Format
from potluck.contract.lock import exclusive, shared
from potluck.contract.manifest import MANIFEST, bundle_digest, verify_manifest
from potluck.scoring.bundle import CONTRACT_FILE, open_bundle
from potluck.scoring.check import admit
from potluck.scoring.model import Model


@dataclass(frozen=True)
class Release:
    """Which bundle answers for a service."""

    service: str
    digest: str
    model_version: str
    format: Format = NEWEST


RELEASE = TypeAdapter(Release)
Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Name, time, number and size of some files."""


class Releases:
    """The releases folder of a home."""

    def __init__(self, folder: Path) -> None:
        self.champions = folder / "champions"
        self.bundles = folder / "bundles"
        self.receipts = folder / "receipts"
        self.lock = folder / ".lock"

    def lay_down(self, source: Path) -> str:
        """Copy a bundle here, check it, and answer its digest.

        Raises:
            BundleError: it does not pass; nothing is left behind.
            OSError: it can't be written; nothing is left behind.
        """
        verify_manifest(source)
        target = self.bundles / bundle_digest(source)
        with shared(self.lock):
            if not is_whole(target):
                return self._copy(source, target)
            os.utime(target)  # it is wanted again, so that `tidying` takes it for a new one
            return admit(target, self.receipts)

    def tidying(self) -> contextlib.AbstractContextManager[TextIO]:
        """Hold off who lays bundles down, while those are deleted that nobody needs.

        Raises:
            Locked: somebody lays one down, or deletes some, at this moment.
        """
        return exclusive(self.lock, "bundles are being laid down or deleted; try again later")

    def _copy(self, source: Path, target: Path) -> str:
        with staging_folder(self.bundles) as folder:
            staging = folder / target.name
            staging.mkdir()
            for name in (*verify_manifest(source), MANIFEST):
                copy_synced(source / name, staging / name)
            digest = admit(staging, self.receipts)
            if target.exists() and not is_whole(target):
                os.replace(target, folder / "damaged")
            try:
                os.replace(staging, target)
            except OSError:
                if not is_whole(target):  # else somebody else laid it down meanwhile
                    raise
        sync_folder(self.bundles)
        return digest

    def promote(self, release: Release) -> None:
        """Make a bundle that was laid down its service's champion, in one atomic step.

        Raises:
            OSError: the file can't be written; the former champion stays.
        """
        content = RELEASE.dump_json(release) + b"\n"
        write_whole(self.champions / f"{release.service}.json", content)

    def retire(self, service: str) -> str | None:
        """Take a service out and answer the version that answered for it; its bundle stays.

        Raises:
            BundleError: its file can't be removed.
        """
        path = self.champions / f"{service}.json"
        if service not in self.services():
            return None
        try:
            version = self.champion(service).model_version
        except (MissingStepError, BundleError):  # a damaged file goes too
            version = None
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BundleError(f"the champion file of {service} can't be removed: {error}") from None
        return version

    def contract(self, release: Release) -> FeatureContract:
        """The contract of a bundle that was laid down, without opening its model.

        Raises:
            BundleError: the bundle is not here, or its contract can't be read.
        """
        return self.contract_of(release.digest)

    def contract_of(self, digest: str) -> FeatureContract:
        """`contract` of a bundle that is known by its digest.

        Raises:
            BundleError: the bundle is not here, or its contract can't be read.
        """
        try:
            return read_contract((self.bundles / digest / CONTRACT_FILE).read_bytes())
        except OSError as error:
            raise BundleError(f"bundle {digest} can't be read: {error}") from None

    def services(self) -> list[str]:
        """Names of the services that have a champion.

        Raises:
            OSError: the folder can't be listed; that is no reason to think that there is none.
        """
        try:
            names = os.listdir(self.champions)
        except FileNotFoundError:
            return []
        return sorted(Path(name).stem for name in names if is_champion_file(name))

    def stamp(self) -> Stamp | None:
        """Changes whenever a champion does: for whoever watches. None where the folder is not
        there.

        Raises:
            OSError: the folder can't be listed.
        """
        if not self.champions.is_dir():
            return None
        return stamp_of(self.champions / f"{service}.json" for service in self.services())

    def traces(self, service: str) -> Stamp:
        """Changes whenever the champion's file does, or the files of the bundle that it names."""
        files = [self.champions / f"{service}.json"]
        with contextlib.suppress(MissingStepError, BundleError, OSError):
            files += sorted((self.bundles / self.champion(service).digest).iterdir())
        return stamp_of(files)

    def champion(self, service: str) -> Release:
        """
        Raises:
            MissingStepError: the service has none.
            BundleError: its file can't be read.
        """
        try:
            return RELEASE.validate_json((self.champions / f"{service}.json").read_bytes())
        except FileNotFoundError:
            raise MissingStepError(
                f"no champion of {service} is laid down; run `potluck train {service}`"
            ) from None
        except NewerFormat as error:
            raise BundleError(f"the champion file of {service} can't be read: {error}") from None
        except (OSError, ValidationError) as error:
            said = (
                error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
            )
            raise BundleError(
                f"the champion file of {service} can't be read: {said}; `potluck pull` takes it "
                "from MLflow's registry"
            ) from None

    def holds(self, service: str, model_version: str) -> bool:
        """Whether this version is the service's champion, and its bundle lies here unchanged."""
        try:
            release = self.champion(service)
        except (MissingStepError, BundleError):
            return False
        return release.model_version == model_version and is_whole(self.bundles / release.digest)

    def open(self, release: Release) -> Model:
        """Open a release's bundle after digest and receipt; without a receipt it is checked first.

        Raises:
            BundleError: the bundle does not hold, or is another than the release names.
        """
        folder = self.bundles / release.digest
        if admit(folder, self.receipts) != release.digest:
            raise BundleError(
                f"the manifest of bundle {release.digest} is changed; promote a version again"
            )
        model = open_bundle(folder)
        if model.contract.service != release.service:
            raise BundleError(
                f"the champion of {release.service} is a bundle of {model.contract.service}; "
                "promote its own"
            )
        return model


def is_champion_file(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")


def stamp_of(files: Iterable[Path]) -> Stamp:
    """What changes when these files do, by the file system's word; those that can't be seen are
    left out."""
    found = []
    for path in files:
        with contextlib.suppress(OSError):
            stat = path.stat()
            found.append((path.name, stat.st_mtime_ns, stat.st_ino, stat.st_size))
    return tuple(found)


def is_whole(folder: Path) -> bool:
    """Whether a bundle lies in the folder that its digest names, unchanged."""
    try:
        verify_manifest(folder)
        return bundle_digest(folder) == folder.name
    except BundleError:
        return False
