"""Which bundles MLflow's registry names: those of the aliases champion and challenger."""

import tempfile
from pathlib import Path

import mlflow

from potluck.contract.manifest import MANIFEST, file_digest
from potluck.contract.settings import Settings
from training.registry import CHALLENGER, CHAMPION, Registry
from training.tracking import reaching_mlflow


def named_digests(settings: Settings) -> frozenset[str]:
    """Find the digests of the bundles behind the aliases of this registry's services.

    Raises:
        ServiceUnreachable: MLflow does not answer, or keeps a manifest to itself.
        BundleError: a version's manifest can't be read.
    """
    with reaching_mlflow(settings):
        registry = Registry(settings)
        registry.projects = None  # a bundle of any project may lie here
        models, errors = registry.models()
        if errors:
            raise errors[0]
        digests = set()
        for model in models:
            versions = {registry.version_of(model.name, alias) for alias in (CHAMPION, CHALLENGER)}
            digests |= {bundle_digest(model.name, each) for each in versions if each is not None}
        return frozenset(digests)


def bundle_digest(service: str, version: str) -> str:
    """Compute the digest of a version's bundle; only its manifest is fetched."""
    uri = f"models:/{service}/{version}/{MANIFEST}"
    with tempfile.TemporaryDirectory() as folder:
        found = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=folder)
        return file_digest(Path(found))
