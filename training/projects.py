"""The Feast projects whose models a home takes from a shared MLflow."""

from collections.abc import Iterator

from potluck.contract.errors import PotluckError
from potluck.contract.settings import Settings
from potluck.scoring.releases import Releases
from potluck.stores.definitions.repo import project_name


def wanted_projects(settings: Settings) -> frozenset[str] | None:
    """Find the projects: those of POTLUCK_PROJECTS, or the repo's and those that the home serves.

    Returns:
        None for every project: in a home without a feature repo, as on a machine that only serves.

    Raises:
        UsageError: the repo's `feature_store.yaml` names no project.
    """
    if settings.projects:
        return frozenset(settings.projects)
    if not (settings.repo / "feature_store.yaml").is_file():
        return None
    return frozenset({project_name(settings.repo), *served_projects(settings)})


def served_projects(settings: Settings) -> Iterator[str]:
    """Find the projects of the champions that lie in the home."""
    releases = Releases(settings.releases)
    for service in releases.services():
        try:
            yield releases.contract(releases.champion(service)).project
        except PotluckError:  # a damaged one says nothing of its project
            continue


def of_projects(projects: frozenset[str] | None) -> str:
    """Write projects for a message: ` of project iris`; empty where every project is meant."""
    if projects is None:
        return ""
    what = "project" if len(projects) == 1 else "the projects"
    return f" of {what} {', '.join(sorted(projects))}"
