"""Promote a version of a service to champion, or retire the service, in MLflow and in the home."""

from collections.abc import Iterable
from dataclasses import dataclass

from potluck.contract.errors import PotluckError, UsageError
from potluck.contract.settings import Settings
from potluck.scoring.releases import Release, Releases
from training.pull import fetch
from training.registry import CHALLENGER, CHAMPION, Registry
from training.tracking import reaching_mlflow


@dataclass(frozen=True)
class Promoted:
    """A version that is the champion of its service now."""

    service: str
    model_version: str
    former: str | None
    """The champion before it."""
    changed: bool
    digest: str


@dataclass(frozen=True)
class Retired:
    """A service that has no champion any more."""

    service: str
    model_version: str | None
    """The version that was champion; None where there was no champion."""
    changed: bool
    precomputed: tuple[str, ...] = ()
    """Precomputed services that its model filled: they are retired with it."""


def promote_version(settings: Settings, service: str, version: str | None = None) -> Promoted:
    """Lay a version down, check it, and make it champion, in MLflow and in this home.

    Args:
        version: the challenger, if none is given.

    Raises:
        UsageError: no such service or version, or no challenger.
        BundleError: the bundle does not pass its check; the former champion stays.
        ServiceUnreachable: MLflow does not answer.
    """
    with reaching_mlflow(settings):
        registry = Registry(settings)
        check_trained_service(registry, service)
        wanted = find_version(registry, service, version)
        former = registry.version_of(service, CHAMPION)
        releases = Releases(settings.releases)
        if former == wanted and releases.holds(service, wanted):
            digest = releases.champion(service).digest
            return Promoted(service, wanted, former, changed=False, digest=digest)
        release = fetch(settings, registry, service, wanted)
        registry.point(service, CHAMPION, wanted)
        if registry.version_of(service, CHALLENGER) == wanted:
            registry.unpoint(service, CHALLENGER)
        releases.promote(release)
    return Promoted(service, wanted, former, changed=True, digest=release.digest)


def lay_version_down(settings: Settings, service: str, version: str | None = None) -> Release:
    """Fetch a version from MLflow and check it, without making it champion.

    Args:
        version: the challenger, if none is given.

    Raises:
        UsageError: no such service or version, or no challenger.
        BundleError: the bundle does not pass its check.
        ServiceUnreachable: MLflow does not answer.
    """
    with reaching_mlflow(settings):
        registry = Registry(settings)
        check_trained_service(registry, service)
        return fetch(settings, registry, service, find_version(registry, service, version))


def retire_service(settings: Settings, service: str) -> Retired:
    """Take a service's champion out, in MLflow and in this home.

    Its versions, and its bundle here, stay.

    Raises:
        UsageError: no such service.
        ServiceUnreachable: MLflow does not answer; nothing was changed.
    """
    releases = Releases(settings.releases)
    with reaching_mlflow(settings):
        registry = Registry(settings)
        known = registry.services()
        check_retirable(releases, service, {*known, *releases.services()})
        filled = publications_of(releases, service)
        version = registry.version_of(service, CHAMPION) if service in known else None
        # MLflow first: a home that follows it would lay the champion down again.
        if version is not None:
            registry.retire(service)
    version_here = releases.retire(service)
    found = version or version_here
    return Retired(service, found, changed=found is not None, precomputed=filled)


def check_trained_service(registry: Registry, service: str) -> None:
    """Check that MLflow holds a version of a service.

    Raises:
        UsageError: it does not.
    """
    known = registry.services()
    if service not in known:
        raise unknown_service(service, sorted(known))


def unknown_service(service: str, known: Iterable[str]) -> UsageError:
    return UsageError(
        f"expected a service that was trained, one of {names_or_none(known)}; got {service}"
    )


def check_retirable(releases: Releases, service: str, known: Iterable[str]) -> None:
    if service in known:
        return
    for other in releases.services():
        if service in publications_of(releases, other):
            raise UsageError(
                f"{service} is filled by the model of {other}; "
                f"run `potluck retire {other}` for both"
            )
    raise unknown_service(service, sorted(known))


def publications_of(releases: Releases, service: str) -> tuple[str, ...]:
    """Name the precomputed services that this home's champion fills."""
    try:
        contract = releases.contract(releases.champion(service))
    except PotluckError:
        return ()
    return tuple(publication.service for publication in contract.publications)


def find_version(registry: Registry, service: str, version: str | None) -> str:
    """Find the version that is asked for, or the challenger.

    Raises:
        UsageError: there is no such version, or no challenger.
    """
    there_are = names_or_none(version_names(registry, service))
    if version is None:
        challenger = registry.version_of(service, CHALLENGER)
        if challenger is None:
            raise UsageError(f"{service} has no challenger; name a version: {there_are}")
        return challenger
    if version not in {str(each.version) for each in registry.versions(service)}:
        raise UsageError(f"expected a version of {service}, one of {there_are}; got {version}")
    return version


def version_names(registry: Registry, service: str) -> list[str]:
    """Name each version, with its alias: `3 (champion)`."""
    # The champion last: where one version has both aliases, it is called champion.
    marks = {registry.version_of(service, alias): f" ({alias})" for alias in (CHALLENGER, CHAMPION)}
    numbers = [str(version.version) for version in registry.versions(service)]
    return [f"{number}{marks.get(number, '')}" for number in numbers]


def names_or_none(names: Iterable[str]) -> str:
    return ", ".join(names) or "none yet"
