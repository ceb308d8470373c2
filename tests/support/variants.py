"""A server whose champion has another contract, over the Redis of a stack that is there: nothing is
trained again."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from potluck.contract.features import FeatureContract, read_contract
from potluck.contract.manifest import write_manifest
from potluck.scoring.bundle import BUNDLE_FILES
from potluck.scoring.releases import Release, Releases

Change = Callable[[FeatureContract], FeatureContract]


@contextlib.contextmanager
def variant(stack: Any, folder: Path, change: Change) -> Iterator[Any]:
    """Serve the stack's hybrid model under another contract, from a home of its own."""
    release = Releases(stack.settings.releases).champion(stack.repo.hybrid)
    bundle = folder / "bundle"
    shutil.copytree(Releases(stack.settings.releases).bundles / release.digest, bundle)
    contract = change(read_contract((bundle / "contract.json").read_bytes()))
    (bundle / "contract.json").write_bytes(contract.to_json())
    write_manifest(bundle, BUNDLE_FILES)
    other = type(stack)(stack.repo, folder / "home")
    releases = Releases(other.settings.releases)
    releases.promote(Release(release.service, releases.lay_down(bundle), "1"))
    (other.home / ".env").write_text(f"REDIS_URL={stack.settings.online_store_url}\n")
    try:
        other.serve()
        yield other
    finally:
        other.stop()
