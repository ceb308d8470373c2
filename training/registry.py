"""MLflow: a run with its evidence, a version whose artifact is the bundle, the aliases champion and challenger."""

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

QUIET_AND_IMPATIENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
for name, value in QUIET_AND_IMPATIENT.items():  # MLflow reads them when it is imported
    os.environ.setdefault(name, value)

import mlflow
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from sqlalchemy.exc import SQLAlchemyError

from potluck.contract.errors import MissingStepError, ServiceUnreachable
from potluck.contract.features import FeatureContract, read_contract
from potluck.contract.settings import Settings
from potluck.scoring.bundle import CONTRACT_FILE
from potluck.scoring.releases import Release, Releases
from training.flavor import BundleFlavor
from training.tracking_database import check_database, unreachable

CHAMPION, CHALLENGER = "champion", "challenger"
SERVICE_TAG = "potluck.feature_service"
"""On a run: the feature service that it trained."""
PROJECT_TAG = "potluck.project"
"""On a registered model: the Feast project that it belongs to. Another team's model has none."""
RETIRED_TAG = "potluck.retired"
"""On a registered model that was taken out of service: homes that follow the registry take it out too."""
ARTIFACT = "bundle"
PAGE = 200
LONGEST_REASON = 200
NO_SUCH_ALIAS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
NOT_OURS = (*NO_SUCH_ALIAS, "PERMISSION_DENIED")
"""Codes for a run that is gone, or that another team keeps to itself."""


@contextlib.contextmanager
def reaching_mlflow(settings: Settings) -> Iterator[None]:
    """Tell in our own words that MLflow did not do what it was asked.

    Raises:
        ServiceUnreachable: it does not answer, or refuses.
        UsageError: its URL names no database that can be reached from here.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        check_database(settings.tracking_uri)
        yield
    except SQLAlchemyError as error:
        raise unreachable(settings.tracking_uri, error) from error
    except MlflowException as error:
        said = str(error).splitlines()[0][:LONGEST_REASON]
        raise ServiceUnreachable(f"MLflow at {settings.tracking_uri} does not answer as expected: {said}") from error


class Registry:
    """MLflow's registry of one home."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.home.mkdir(parents=True, exist_ok=True)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        mlflow.set_tracking_uri(settings.tracking_uri)
        mlflow.set_registry_uri(settings.tracking_uri)
        self.client = mlflow.MlflowClient()

    @contextlib.contextmanager
    def run(self, contract: FeatureContract, name: str) -> Iterator[mlflow.ActiveRun]:
        """A run in the project's experiment."""
        experiment = self.experiment(contract.project)
        with mlflow.start_run(experiment_id=experiment, run_name=name) as run:
            yield run

    def experiment(self, project: str) -> str:
        """The project's experiment; SQLite's default would put artifacts below the working directory."""
        found = self.client.get_experiment_by_name(project)
        if found is not None:
            return str(found.experiment_id)
        local = self.settings.tracking_uri == self.settings.local_tracking_uri
        location = (self.settings.home / "mlartifacts").as_uri() if local else None
        return str(self.client.create_experiment(project, artifact_location=location))

    def register(self, contract: FeatureContract, bundle: Path, run: mlflow.ActiveRun) -> str:
        """Log a bundle as the artifact of a new model version and answer the version."""
        with contextlib.redirect_stderr(io.StringIO()):  # MLflow announces each version there
            info = Model.log(
                artifact_path=None,
                flavor=BundleFlavor(contract),
                name=ARTIFACT,
                registered_model_name=contract.service,
                run_id=run.info.run_id,
                bundle=bundle,
                validate_serving_input=False,  # tests load what is registered; a training need not
            )
        self.client.set_registered_model_tag(contract.service, PROJECT_TAG, contract.project)
        return str(info.registered_model_version)

    def version_of(self, service: str, alias: str) -> str | None:
        """The version that an alias points to, None where there is none.

        Raises:
            MlflowException: MLflow does not answer; that is no reason to think that there is none.
        """
        try:
            return str(self.client.get_model_version_by_alias(service, alias).version)
        except MlflowException as error:
            if error.error_code in NO_SUCH_ALIAS:
                return None
            raise

    def point(self, service: str, alias: str, version: str) -> None:
        """Give a version an alias; whoever is made champion is retired no more."""
        self.client.set_registered_model_alias(service, alias, version)
        if alias == CHAMPION and self.is_retired(service):
            self.client.delete_registered_model_tag(service, RETIRED_TAG)

    def unpoint(self, service: str, alias: str) -> None:
        self.client.delete_registered_model_alias(service, alias)

    def retire(self, service: str) -> None:
        """Leave the service without a champion, and mark that this is meant so."""
        self.client.set_registered_model_tag(service, RETIRED_TAG, "true")
        self.unpoint(service, CHAMPION)

    def is_retired(self, service: str) -> bool:
        return RETIRED_TAG in self.client.get_registered_model(service).tags

    def awaits_champion(self, service: str) -> bool:
        """Whether the next version becomes champion by itself: there is none, and nobody took it out."""
        return self.version_of(service, CHAMPION) is None and not self.is_retired(service)

    def download(self, service: str, version: str, folder: Path) -> Path:
        """Fetch a version's bundle into a folder."""
        uri = f"models:/{service}/{version}"
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))

    def contract(self, service: str, version: str) -> FeatureContract:
        """The contract of a version."""
        with tempfile.TemporaryDirectory() as folder:
            return read_contract((self.download(service, version, Path(folder)) / CONTRACT_FILE).read_bytes())

    def services(self) -> list[str]:
        """The feature services that have a version: registered models of other teams are none."""
        return sorted(model.name for model in self.registered_models() if self.is_ours(model))

    def registered_models(self) -> Iterator[RegisteredModel]:
        token: str | None = None
        while True:
            page = self.client.search_registered_models(max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def is_ours(self, model: RegisteredModel) -> bool:
        if PROJECT_TAG in model.tags:
            return True
        named = model.aliases.get(CHAMPION) or model.aliases.get(CHALLENGER)
        return named is not None and self.was_trained_here(model.name, named)

    def was_trained_here(self, name: str, version: str) -> bool:
        """Whether a version's run is one of Potluck's: version 0.1.0 tagged its runs alone."""
        try:
            run_id = self.client.get_model_version(name, version).run_id
            return bool(run_id) and self.client.get_run(run_id).data.tags.get(SERVICE_TAG) == name
        except MlflowException as error:
            if error.error_code in NOT_OURS:
                return False
            raise

    def versions(self, service: str) -> list[ModelVersion]:
        """All versions of one of `services()`, the oldest first."""
        found: list[ModelVersion] = []
        token: str | None = None
        while True:
            page = self.client.search_model_versions(f"name = '{service}'", max_results=PAGE, page_token=token)
            found += page
            token = page.token
            if not token:
                return sorted(found, key=lambda version: int(version.version))


@dataclass(frozen=True)
class Pulled:
    """A champion that was laid down, or one that was retired and is gone from here."""

    service: str
    model_version: str
    changed: bool
    retired: bool = False


def pull_champions(settings: Settings) -> list[Pulled]:
    """Lay down every champion of the registry under the home, and promote what changed; what was retired goes.

    Raises:
        MissingStepError: the registry knows no champion.
        ServiceUnreachable: MLflow does not answer.
        BundleError: a bundle does not pass its check; the earlier champion stays.
    """
    with reaching_mlflow(settings):
        registry = Registry(settings)
        services = registry.services()
        champions = {service: registry.version_of(service, CHAMPION) for service in services}
        found = {service: version for service, version in champions.items() if version is not None}
        gone = pull_retired(settings, registry, [service for service in services if service not in found])
        if not found and not gone:
            raise MissingStepError("MLflow's registry holds no champion; run `potluck train SERVICE` first")
        return [pull(settings, registry, service, version) for service, version in found.items()] + gone


def pull(settings: Settings, registry: Registry, service: str, version: str) -> Pulled:
    releases = Releases(settings.releases)
    if releases.holds(service, version):
        return Pulled(service, version, changed=False)
    releases.promote(fetch(settings, registry, service, version))
    return Pulled(service, version, changed=True)


def fetch(settings: Settings, registry: Registry, service: str, version: str) -> Release:
    """Fetch a version's bundle and lay it down, checked, beside the champion."""
    with tempfile.TemporaryDirectory() as folder:
        digest = Releases(settings.releases).lay_down(registry.download(service, version, Path(folder)))
    return Release(service, digest, version)


def pull_retired(settings: Settings, registry: Registry, services: list[str]) -> list[Pulled]:
    """Take out what the registry says was retired; a service that it merely has no champion of stays."""
    releases = Releases(settings.releases)
    here = releases.services()
    retired = [service for service in services if service in here and registry.is_retired(service)]
    return [Pulled(service, releases.retire(service) or "", changed=True, retired=True) for service in retired]
