"""Whose models of a shared MLflow a home takes: those of which Feast projects."""

from collections.abc import Iterator

from potluck.contract.errors import PotluckError
from potluck.contract.settings import Settings
from potluck.scoring.releases import Releases
from potluck.stores.definitions.repo import project_name


def wanted_projects(settings: Settings) -> frozenset[str] | None:
    """The projects that POTLUCK_PROJECTS names; else the repo's, and those that the home serves already.

    None is every project: in a home without a feature repo, as on a machine that only serves.

    Raises:
        UsageError: the repo's `feature_store.yaml` names no project.
    """
    if settings.projects:
        return frozenset(settings.projects)
    if not (settings.repo / "feature_store.yaml").is_file():
        return None
    return frozenset({project_name(settings.repo), *served_projects(settings)})


def served_projects(settings: Settings) -> Iterator[str]:
    """Projects of the champions that lie in the home."""
    releases = Releases(settings.releases)
    for service in releases.services():
        try:
            yield releases.contract(releases.champion(service)).project
        except PotluckError:  # a damaged one says nothing of its project
            continue


def of_projects(projects: frozenset[str] | None) -> str:
    """For messages: ` of project iris`; empty where every project is meant."""
    if projects is None:
        return ""
    named = ", ".join(sorted(projects))
    return f" of {'project' if len(projects) == 1 else 'the projects'} {named}"
