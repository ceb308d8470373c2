"""`feature_store.yaml`: which of Feast's options Potluck works with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from feast import RepoConfig
from feast.repo_config import FeastConfigError, load_repo_config

from potluck.contract.errors import UsageError
from potluck.contract.settings import load_settings
from potluck.stores.definitions.repo import one_line, project_name, read_config

ONLINE_STORE = "potluck.stores.online.PotluckOnlineStore"
OFFLINE_STORE = "potluck.stores.duckdb_offline.PotluckOfflineStore"
ENGINES = ("local", "potluck.stores.engine.PotluckEngine")

KNOWN = frozenset(
    {
        "project",
        "project_description",
        "provider",
        "registry",
        "online_store",
        "offline_store",
        "batch_engine",
        "entity_key_serialization_version",
        "auth",
        "coerce_tz_aware",
        "materialization",
        # These change no prediction: they are for Feast's own server, and for what it tells others.
        "feature_server",
        "openlineage",
        "mlflow",
        "data_quality_monitoring",
        "repo_path",
    }
)


def checked_config(repo: Path) -> RepoConfig:
    """Read a repo's `feature_store.yaml` as Feast does, after a check of its options.

    Raises:
        UsageError: it names what Potluck does not work with, or Feast refuses it.
    """
    project_name(repo)
    check_config(repo, read_config(repo))
    try:
        return load_repo_config(repo, repo / "feature_store.yaml")
    except FeastConfigError as error:
        raise UsageError(f"Feast refuses {one_line(error)}") from None


def check_config(repo: Path, config: Mapping[str, Any]) -> None:
    """Hold every option against what Potluck works with.

    Raises:
        UsageError: the first option that does not go with Potluck, and what to write instead.
    """
    path = repo / "feature_store.yaml"
    unknown = sorted(set(config) - KNOWN)
    if unknown:
        refuse_option(path, unknown[0], f"one of {', '.join(sorted(KNOWN))}", "take it out")
    expect(path, config, "provider", ("local", None))
    expect(path, config, "entity_key_serialization_version", (3, None))
    expect(path, config, "coerce_tz_aware", (True, None))
    expect_type(path, config, "online_store", (ONLINE_STORE,))
    expect_type(path, config, "offline_store", (OFFLINE_STORE,))
    expect_type(path, config, "batch_engine", (*ENGINES, None))
    expect_type(path, config, "auth", ("no_auth", None))
    check_registry(path, config)
    check_online(path, section(config, "online_store"))
    if section(config, "materialization").get("pull_latest_features"):
        refuse_option(
            path,
            "materialization.pull_latest_features",
            "false",
            "Potluck always takes the latest record",
        )


def check_registry(path: Path, config: Mapping[str, Any]) -> None:
    registry = section(config, "registry")
    if registry.get("registry_type") != "sql":
        wanted = '{registry_type: sql, path: "sqlite:///?plugin=potluck"}'
        refuse_option(path, "registry", wanted, "where it lies is said by FEAST_REGISTRY_URL")
    if registry.get("enable_online_feature_view_versioning"):
        option = "registry.enable_online_feature_view_versioning"
        refuse_option(path, option, "false", "a model's version is MLflow's")


def check_online(path: Path, online: Mapping[str, Any]) -> None:
    """Refuse another place than the settings say, as the server reads there."""
    named = online.get("connection_string")
    if named is not None and named != load_settings().online_store_url:
        refuse_option(
            path,
            "online_store.connection_string",
            "none",
            "say it by REDIS_URL, which the server reads too",
        )
    if online.get("key_ttl_seconds"):
        refuse_option(
            path,
            "online_store.key_ttl_seconds",
            "none",
            "it would expire all views at once; give each a ttl",
        )


def section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of the file as a mapping; a bare text is its type."""
    found = config.get(name)
    return found if isinstance(found, Mapping) else {"type": found}


def expect(path: Path, config: Mapping[str, Any], name: str, wanted: tuple[Any, ...]) -> None:
    if config.get(name) not in wanted:
        refuse_option(path, name, str(wanted[0]), f"got {config[name]!r}")


def expect_type(
    path: Path, config: Mapping[str, Any], name: str, wanted: tuple[str | None, ...]
) -> None:
    found = section(config, name).get("type")
    if found not in wanted:
        kinds = " or ".join(f"{{type: {kind}}}" for kind in wanted if kind)
        refuse_option(path, name, kinds, f"got {found!r}")


def refuse_option(path: Path, option: str, wanted: str, instead: str) -> None:
    raise UsageError(
        f"{path}: {option} is not supported as it stands; expected {wanted}; {instead}"
    )
