"""`potluck apply`: Feast's own, after the definitions passed Potluck's rules in a registry that is thrown away."""

import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from feast import FeatureStore, RepoConfig
from feast.repo_config import load_repo_config
from feast.repo_contents import RepoContents
from feast.repo_operations import apply_total_with_repo_instance, parse_repo

from potluck.contract.errors import DefinitionError, PotluckError
from potluck.stores.definitions import Definition, read_definitions
from potluck.stores.on_demand import check_on_demand
from potluck.stores.repo import open_store, project_name


def apply_repo(repo: Path) -> dict[str, Definition]:
    """Check the repo's definitions, then register them. Call it once per process: Feast mixes two repos in one.

    Answers:
        Service -> definition, of every service with a model.

    Raises:
        DefinitionError: a definition breaks a rule of Feast's or of ours; the registry is untouched.
    """
    project_name(repo)
    config = load_repo_config(repo, repo / "feature_store.yaml")
    with inside(repo), warnings.catch_warnings(action="ignore"):
        contents = read_contents(repo)
        rehearse(config, contents)
        store = open_store(repo)
        register(store, contents)
        return read_definitions(store)


def read_contents(repo: Path) -> RepoContents:
    try:
        return parse_repo(repo)
    except PotluckError:
        raise
    except Exception as error:
        raise DefinitionError(f"Feast can't read the definitions in {repo}: {type(error).__name__}: {error}") from error


def rehearse(config: RepoConfig, contents: RepoContents) -> None:
    """Register everything in a folder of its own and read it back under Potluck's rules."""
    for view in contents.on_demand_feature_views:  # before Feast runs them to infer their types
        check_on_demand(view)
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = {
            "registry": {"registry_type": "file", "path": f"{folder}/registry.db", "cache_ttl_seconds": 0},
            "online_store": {"type": "sqlite", "path": f"{folder}/online.db"},
        }
        plain = config.model_dump(include={"project", "provider", "entity_key_serialization_version"})
        rehearsal = RepoConfig(repo_path=config.repo_path, offline_store={"type": "duckdb"}, **plain, **elsewhere)
        store = FeatureStore(config=rehearsal)
        register(store, contents)
        read_definitions(store)


def register(store: FeatureStore, contents: RepoContents) -> None:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            apply_total_with_repo_instance(store, store.project, store.registry, contents, skip_source_validation=False)
    except PotluckError:
        raise
    except Exception as error:
        raise DefinitionError(f"Feast refuses the definitions: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def inside(repo: Path) -> Iterator[None]:
    """Work in the repo's folder and import from it, as `feast apply` does."""
    before = Path.cwd()
    os.chdir(repo)
    sys.path.insert(0, str(repo))
    try:
        yield
    finally:
        sys.path.remove(str(repo))
        os.chdir(before)
