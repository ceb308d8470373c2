"""Feast as it comes: its own Redis store instead of Potluck's plug-in, over the same registry and
the same Redis."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.home import Home, program
from potluck.contract.features import FeatureContract

CONFIGURATION = """\
project: {project}
provider: local
registry:
  registry_type: sql
  path: {registry}
  cache_ttl_seconds: 0
offline_store:
  type: duckdb
{stores}entity_key_serialization_version: 3
"""
STOCK_STORES = """\
online_store:
  type: redis
  connection_string: "localhost:0,unix_socket_path={socket}"
  skip_dedup: true
"""


def stock_repo(home: Home, contract: FeatureContract) -> Path:
    """A repo without definitions, as the registry has them, in the home; its published view is
    filled by Feast."""
    folder = home.settings.home / "stock_feast"
    configure(home, contract.project, folder)
    materialize_view(home, folder, contract.publications[0].view)
    return folder


def configure(home: Home, project: str, folder: Path, stores: str = STOCK_STORES) -> None:
    """A repo without definitions: the registry has them.

    Args:
        stores: what of `feature_store.yaml` says how the online store is filled.
    """
    folder.mkdir()
    told = stores.format(socket=home.settings.redis_socket)
    registry = home.settings.registry_url
    (folder / "feature_store.yaml").write_text(
        CONFIGURATION.format(project=project, registry=registry, stores=told)
    )


def materialize_view(home: Home, repo: Path, view: str) -> None:
    """`feast materialize` of what the nightly run wrote to the offline store: stock Feast reads no
    published slot."""
    span = ("2000-01-01T00:00:00", datetime.now(UTC).isoformat(timespec="seconds"))
    command = [program("feast"), "-c", str(repo), "materialize", *span, "--views", view]
    subprocess.run(command, env=home.environment, check=True, capture_output=True)
