"""The verb `apply`: check a repo's definitions in a temporary registry, then have Feast register
them."""

import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from feast import FeatureStore, RepoConfig
from feast.repo_contents import RepoContents
from feast.repo_operations import apply_total_with_repo_instance

from potluck.contract.champion import Champion
from potluck.contract.errors import DefinitionError, PotluckError
from potluck.stores.apply.breaking_changes import breaking_changes, orphans, refuse_breaking_changes
from potluck.stores.apply.histories import make_histories
from potluck.stores.apply.source_checks import check_declared_sources
from potluck.stores.apply.trial import try_functions
from potluck.stores.definitions.config import checked_config
from potluck.stores.definitions.feature_contract import Definition
from potluck.stores.definitions.registry import read_definitions
from potluck.stores.definitions.repo import one_line, open_store
from potluck.stores.definitions.repo_contents import check_contents, read_contents


@dataclass(frozen=True)
class Applied:
    """What `apply` registered, and what there is to know of it."""

    definitions: dict[str, Definition]
    """Service -> definition, of every service with a model."""
    warnings: tuple[str, ...] = ()
    """What is allowed, and may not be meant."""
    broken: tuple[str, ...] = ()
    """What was taken away from champions, as `breaking` allows."""
    orphans: dict[str, str] = field(default_factory=dict)
    """Services that are served and no longer defined -> the version that answers."""
    unwritten: tuple[str, ...] = ()
    """Sources whose file is not there yet."""


def apply_repo(
    repo: Path, *, champions: Sequence[Champion] = (), breaking: bool = False
) -> Applied:
    """Check the repo's definitions, then register them.

    Call it once per process: Feast mixes the definitions of two repos in one process.

    Args:
        champions: those of this home that answer for the repo's project.
        breaking: register the definitions even if a champion loses what it reads.

    Raises:
        UsageError: `feature_store.yaml` names what Potluck does not work with.
        DefinitionError: a definition breaks a rule of Feast's or of ours.
        DataError: a source's file does not hold what is declared.
        Refused: a champion would lose what it reads.
            The registry is untouched by all of these.
    """
    config = checked_config(repo)
    with inside(repo), warnings.catch_warnings(action="ignore"):
        contents = read_contents(repo)
        check_contents(contents, config.project)
        told = try_functions(contents.on_demand_feature_views)
        with rehearsal(config, contents) as rehearsed:
            check_declared_sources(rehearsed, read_definitions(rehearsed))
            broken = breaking_changes(rehearsed, champions)
        if not breaking:
            refuse_breaking_changes(broken)
        # The rehearsal passed. From here on the real registry changes.
        store = open_store(repo)
        register(store, contents)
        definitions = read_definitions(store)
        make_histories(store, definitions)
        unwritten = check_declared_sources(store, definitions)
    left = orphans(definitions, champions)
    return Applied(definitions, tuple(told), tuple(broken), left, tuple(unwritten))


@contextlib.contextmanager
def rehearsal(config: RepoConfig, contents: RepoContents) -> Iterator[FeatureStore]:
    """Register everything in a temporary registry, so that it can be read back and checked."""
    kept = config.model_dump(include={"project", "provider", "entity_key_serialization_version"})
    with tempfile.TemporaryDirectory() as folder:
        registry = {
            "registry_type": "file",
            "path": f"{folder}/registry.db",
            "cache_ttl_seconds": 0,
        }
        rehearsed = RepoConfig(
            repo_path=config.repo_path,
            registry=registry,
            online_store={"type": "sqlite", "path": f"{folder}/online.db"},
            offline_store={"type": "duckdb"},
            **kept,
        )
        store = FeatureStore(config=rehearsed)
        register(store, contents)
        yield store


def register(store: FeatureStore, contents: RepoContents) -> None:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            apply_total_with_repo_instance(
                store, store.project, store.registry, contents, skip_source_validation=False
            )
    except PotluckError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {one_line(error)}"
        raise DefinitionError(f"Feast refuses the definitions: {said}") from error


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
