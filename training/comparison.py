"""Versions of one service side by side: what each was made of, and how good it is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

from mlflow.entities.model_registry import ModelVersion

from potluck.contract.errors import UsageError
from potluck.contract.settings import Settings
from training.promotion import check_trained_service, find_version, names_or_none, version_names
from training.registry import CHALLENGER, CHAMPION, Registry
from training.tracking import reaching_mlflow

MILLISECONDS = 1000
ROWS = ("rows_came", "rows_kept")
"""Figures of a run that count rows; no measure of how good a version is."""
SPLIT = "split"
TOLD = frozenset({"as_of", "columns", SPLIT})
"""Parameters of a run that a comparison names elsewhere."""


@dataclass(frozen=True)
class ComparedVersion:
    """One version: what its run and its bundle hold."""

    model_version: str
    alias: str | None
    trained_at: datetime
    as_of: str | None
    data_hash: str | None
    rows: int | None
    """Labelled rows that it learned from and was measured on; None where the run does not say."""
    split: str | None
    metrics: dict[str, float]
    parameters: dict[str, str]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What `potluck compare` shows."""

    service: str
    versions: list[ComparedVersion]
    same_rows: bool
    """Whether all were measured on the same rows: only then their metrics can be compared."""
    differing_parameters: dict[str, list[str | None]]
    """Name -> the value in each version, None where it has none."""
    differing_columns: dict[str, list[bool]]
    """Column -> whether each version has it."""


def compare_versions(settings: Settings, service: str, versions: Sequence[str] = ()) -> Comparison:
    """Put versions side by side: the named ones, or champion and challenger.

    Raises:
        UsageError: no such service or version.
        ServiceUnreachable: MLflow does not answer.
        BundleError: a version's contract can't be read.
    """
    with reaching_mlflow(settings):
        registry = Registry(settings)
        check_trained_service(registry, service)
        chosen = [find_version(registry, service, version) for version in dict.fromkeys(versions)]
        if not chosen:
            chosen = champion_and_challenger(registry, service)
        found = read_versions(registry, service, chosen)
    return Comparison(
        service=service,
        versions=found,
        same_rows=measured_alike(found),
        differing_parameters=differing_parameters(found),
        differing_columns=differing_columns(found),
    )


def champion_and_challenger(registry: Registry, service: str) -> list[str]:
    found = [registry.version_of(service, alias) for alias in (CHAMPION, CHALLENGER)]
    named = [version for version in found if version is not None]
    if not named:
        there_are = names_or_none(version_names(registry, service))
        raise UsageError(
            f"{service} has neither champion nor challenger; name versions: {there_are}"
        )
    return list(dict.fromkeys(named))


def read_versions(registry: Registry, service: str, chosen: Sequence[str]) -> list[ComparedVersion]:
    champion = registry.version_of(service, CHAMPION)
    challenger = registry.version_of(service, CHALLENGER)
    aliases = {challenger: CHALLENGER, champion: CHAMPION}
    held = {str(version.version): version for version in registry.versions(service)}
    return [read_version(registry, held[version], aliases.get(version)) for version in chosen]


def read_version(registry: Registry, version: ModelVersion, alias: str | None) -> ComparedVersion:
    run = registry.client.get_run(version.run_id).data
    params, tags = dict(run.params), run.tags
    rows = run.metrics.get("rows_kept")
    metrics = {name: value for name, value in run.metrics.items() if name not in ROWS}
    contract = registry.contract(version.name, version.version)
    return ComparedVersion(
        model_version=str(version.version),
        alias=alias,
        trained_at=datetime.fromtimestamp(version.creation_timestamp / MILLISECONDS, UTC),
        as_of=tags.get("potluck.as_of"),
        data_hash=tags.get("potluck.data_hash"),
        rows=None if rows is None else int(rows),
        split=params.get(SPLIT),
        metrics=metrics,
        parameters=params,
        columns=tuple(column.name for column in contract.columns),
    )


def measured_alike(versions: Sequence[ComparedVersion]) -> bool:
    """Say whether the versions have the same test rows: the same labelled rows, split alike."""
    if any(version.data_hash is None for version in versions):
        return False
    alike = {(version.data_hash, version.split, random_seed(version)) for version in versions}
    return len(alike) == 1


def random_seed(version: ComparedVersion) -> str | None:
    """Return the seed of the split; None for a split by time, which needs no seed."""
    by_time = version.split in (None, "time")
    return None if by_time else version.parameters.get("seed")


def differing_parameters(versions: Sequence[ComparedVersion]) -> dict[str, list[str | None]]:
    found = {}
    for name in each_once(version.parameters for version in versions):
        values = [version.parameters.get(name) for version in versions]
        if name not in TOLD and len(set(values)) > 1:
            found[name] = values
    return found


def differing_columns(versions: Sequence[ComparedVersion]) -> dict[str, list[bool]]:
    found = {}
    for name in each_once(version.columns for version in versions):
        present = [name in version.columns for version in versions]
        if not all(present):
            found[name] = present
    return found


def each_once(names: Iterable[Iterable[str]]) -> list[str]:
    """Return all names, in the order in which they come first."""
    return list(dict.fromkeys(chain.from_iterable(names)))
