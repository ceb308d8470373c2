"""The bundles that a home holds, and which of them is each service's champion.

releases/
  champions/<service>.json   {"service", "digest", "model_version"}: replaced atomically at promotion and rollback
  bundles/<digest>/          a bundle, laid down once
  receipts/                  which bundle passed its check under which libraries
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from potluck.contract.errors import BundleError, MissingStepError
from potluck.contract.features import FeatureContract, read_contract
from potluck.contract.manifest import MANIFEST, bundle_digest, verify_manifest
from potluck.scoring.bundle import CONTRACT_FILE, Model, open_bundle
from potluck.scoring.check import admit


@dataclass(frozen=True)
class Release:
    """Which bundle answers for a service."""

    service: str
    digest: str
    model_version: str


RELEASE = TypeAdapter(Release)


class Releases:
    """The releases folder of a home."""

    def __init__(self, folder: Path) -> None:
        self.champions = folder / "champions"
        self.bundles = folder / "bundles"
        self.receipts = folder / "receipts"

    def lay_down(self, source: Path) -> str:
        """Copy a bundle here, check it, and answer its digest.

        Raises:
            BundleError: it does not pass; nothing is left behind.
        """
        verify_manifest(source)
        target = self.bundles / bundle_digest(source)
        if not is_whole(target):
            self._copy(source, target)
        return admit(target, self.receipts)

    def _copy(self, source: Path, target: Path) -> None:
        self.bundles.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".staging-", dir=self.bundles) as folder:
            staging = Path(folder) / target.name
            staging.mkdir()
            for name in (*verify_manifest(source), MANIFEST):
                shutil.copyfile(source / name, staging / name)
            admit(staging, self.receipts)
            if target.exists() and not is_whole(target):
                os.replace(target, Path(folder) / "damaged")
            with contextlib.suppress(OSError):  # somebody else may have laid it down meanwhile
                os.replace(staging, target)

    def promote(self, release: Release) -> None:
        """Make a bundle that was laid down its service's champion, in one atomic step."""
        self.champions.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=self.champions, delete=False) as file:
            file.write(RELEASE.dump_json(release) + b"\n")
        Path(file.name).chmod(0o644)  # a server under another user reads it
        os.replace(file.name, self.champions / f"{release.service}.json")

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
        try:
            return read_contract((self.bundles / release.digest / CONTRACT_FILE).read_bytes())
        except OSError as error:
            raise BundleError(f"bundle {release.digest} of {release.service} can't be read: {error}") from None

    def services(self) -> list[str]:
        """Names of the services that have a champion."""
        return sorted(path.stem for path in self.champions.glob("*.json"))

    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Changes whenever a champion does: for whoever watches."""
        files = []
        for path in sorted(self.champions.glob("*.json")):
            with contextlib.suppress(FileNotFoundError):  # retired since it was listed
                stat = path.stat()
                files.append((path.name, stat.st_mtime_ns, stat.st_ino))
        return tuple(files)

    def champion(self, service: str) -> Release:
        """
        Raises:
            MissingStepError: the service has none.
            BundleError: its file can't be read.
        """
        try:
            return RELEASE.validate_json((self.champions / f"{service}.json").read_bytes())
        except FileNotFoundError:
            raise MissingStepError(f"no champion of {service} is laid down; run `potluck train {service}`") from None
        except (OSError, ValidationError) as error:
            said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
            raise BundleError(
                f"the champion file of {service} can't be read: {said}; `potluck pull` takes it from MLflow's registry"
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
            raise BundleError(f"the manifest of bundle {release.digest} is changed; promote a version again")
        model = open_bundle(folder)
        if model.contract.service != release.service:
            raise BundleError(
                f"the champion of {release.service} is a bundle of {model.contract.service}; promote its own"
            )
        return model


def is_whole(folder: Path) -> bool:
    """Whether a bundle lies in the folder that its digest names, unchanged."""
    try:
        verify_manifest(folder)
        return bundle_digest(folder) == folder.name
    except BundleError:
        return False
