"""Opening a feature repo: Feast's store, the project's name, and what was applied."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from potluck.contract.errors import MissingStepError, ServiceUnreachable, UsageError

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore


def project_name(repo: Path) -> str:
    """The `project` of a repo's `feature_store.yaml`, read without Feast.

    Raises:
        UsageError: the folder holds no readable `feature_store.yaml` with a project.
    """
    try:
        config = yaml.safe_load((repo / "feature_store.yaml").read_text())
        return str(config["project"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        raise UsageError(
            f"expected a Feast feature repo with a feature_store.yaml that names its project in {repo}, found none; "
            "give one with --repo or POTLUCK_REPO"
        ) from None


def open_store(repo: Path) -> "FeatureStore":
    """Feast's store of a repo. The registry may be empty: Feast makes it at the first look.

    Raises:
        UsageError: the folder is no feature repo.
        ServiceUnreachable: the registry does not answer.
    """
    project_name(repo)
    from feast import FeatureStore

    with reaching_registry():
        store = FeatureStore(repo_path=str(repo))
        store.list_entities()
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
        raise ServiceUnreachable(f"Feast's registry does not answer: {said}; is FEAST_REGISTRY_URL right?") from error


def applied_services(store: "FeatureStore") -> "dict[str, FeatureService]":
    """The feature services of the registry by name.

    Raises:
        MissingStepError: the project was never applied.
    """
    services = {service.name: service for service in store.list_feature_services()}
    if not services:
        raise MissingStepError(
            f"the registry holds no feature service of project {store.project}; run `potluck apply` first"
        )
    return services
