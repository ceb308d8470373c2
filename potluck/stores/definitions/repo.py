"""Opening a feature repo: the project's name and Feast's store."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from potluck.contract.errors import ServiceUnreachable, UsageError

if TYPE_CHECKING:
    from feast import FeatureStore


def project_name(repo: Path) -> str:
    """Read the `project` of a repo's `feature_store.yaml`, without Feast.

    Raises:
        UsageError: the folder holds no readable `feature_store.yaml` with a project.
    """
    return valid_project(repo, read_config(repo).get("project"))


def read_config(repo: Path) -> dict[str, Any]:
    """What a repo's `feature_store.yaml` says, with variables of the environment filled in, as
    Feast reads it.

    Raises:
        UsageError: there is none, or it is no mapping.
    """
    path = repo / "feature_store.yaml"
    try:
        found = yaml.safe_load(os.path.expandvars(path.read_text()))
    except OSError:
        raise UsageError(
            "expected a Feast feature repo with a feature_store.yaml that names its project in "
            f"{repo}, found none; give one with --repo or POTLUCK_REPO"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid yaml: {one_line(error)}; correct it") from None
    if not isinstance(found, dict):
        raise UsageError(
            f"expected {path} to hold a mapping, as in `project: pumps`; got {type(found).__name__}"
        )
    return found


def valid_project(repo: Path, name: object) -> str:
    """Apply Feast's rule for a project's name, before anything is written under that name."""
    if isinstance(name, str) and re.fullmatch(r"(?!_)\w+", name):
        return name
    raise UsageError(
        f"expected `project` in {repo / 'feature_store.yaml'} to be a text of letters, digits and "
        f"underscores that begins with a letter or digit, such as pumps or pumps_2025; got {name!r}"
    )


def one_line(error: BaseException) -> str:
    """Return an error's message on one line: those of yaml, pydantic and Feast may have many."""
    return " ".join(str(error).split())


def open_store(repo: Path) -> "FeatureStore":
    """Open Feast's store of a repo. The registry may be empty: Feast makes it at the first look.

    Raises:
        UsageError: the folder is no feature repo.
        ServiceUnreachable: the registry does not answer.
    """
    project_name(repo)
    from feast import FeatureStore
    from feast.errors import FeastRegistryNotSetError
    from feast.repo_config import FeastConfigError

    try:
        with reaching_registry():
            store = FeatureStore(repo_path=str(repo))
            store.list_entities()
    except FeastConfigError as error:
        raise UsageError(f"Feast refuses {one_line(error)}; correct feature_store.yaml") from None
    except FeastRegistryNotSetError:
        path = repo / "feature_store.yaml"
        raise UsageError(
            f"{path} names no registry; run `potluck apply`, which says what to write"
        ) from None
    return store


@contextmanager
def reaching_registry() -> Iterator[None]:
    """Tell in our own words that Feast's registry does not answer.

    Raises:
        ServiceUnreachable: its database refuses, is none, or is not there.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", error)).splitlines()[0]
        raise ServiceUnreachable(
            f"Feast's registry does not answer: {said}; is FEAST_REGISTRY_URL right?"
        ) from error
