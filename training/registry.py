"""MLflow: a run with its evidence, a version whose artifact is the bundle, the aliases champion and challenger."""

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUIET_AND_IMPATIENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
for name, value in QUIET_AND_IMPATIENT.items():  # MLflow reads them when it is imported
    os.environ.setdefault(name, value)

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from potluck.contract.errors import MissingStepError, ServiceUnreachable
from potluck.contract.features import FeatureContract
from potluck.contract.manifest import listed_files
from potluck.contract.settings import Settings
from potluck.scoring.bundle import MODEL_FILE
from potluck.scoring.releases import Release, Releases

CHAMPION, CHALLENGER = "champion", "challenger"
ARTIFACT = "bundle"
LONGEST_REASON = 200
NO_SUCH_ALIAS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")


@contextlib.contextmanager
def reaching_mlflow(settings: Settings) -> Iterator[None]:
    """Tell in our own words that MLflow did not do what it was asked.

    Raises:
        ServiceUnreachable: it does not answer, or refuses.
    """
    try:
        yield
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
            )
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
        self.client.set_registered_model_alias(service, alias, version)

    def download(self, service: str, version: str, folder: Path) -> Path:
        """Fetch a version's bundle into a folder."""
        uri = f"models:/{service}/{version}"
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))

    def services(self) -> list[str]:
        return sorted(model.name for model in self.client.search_registered_models())


class BundleFlavor:
    """Packs a bundle as an MLflow model that holds no pickle; others may load it with `mlflow.pyfunc`."""

    def __init__(self, contract: FeatureContract) -> None:
        self.contract = contract

    def save_model(self, path: str, mlflow_model: Model, bundle: Path, **_: Any) -> None:
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*listed_files(bundle), "MANIFEST.json"):
            (folder / name).write_bytes((bundle / name).read_bytes())
        mlflow_model.signature = signature(self.contract)
        mlflow_model.add_flavor("lightgbm", lgb_version=None, data=MODEL_FILE)
        mlflow_model.add_flavor("python_function", loader_module="mlflow.lightgbm", data=MODEL_FILE)
        mlflow_model.save(str(folder / "MLmodel"))


def signature(contract: FeatureContract) -> ModelSignature:
    """The model's matrix: categories as codes, missing as NaN."""
    return ModelSignature(inputs=Schema([ColSpec(DataType.double, column.name) for column in contract.columns]))


@dataclass(frozen=True)
class Pulled:
    """A champion that was laid down."""

    service: str
    model_version: str
    changed: bool


def pull_champions(settings: Settings) -> list[Pulled]:
    """Lay down every champion of the registry under the home, and promote what changed.

    Raises:
        MissingStepError: the registry knows no champion.
        ServiceUnreachable: MLflow does not answer.
        BundleError: a bundle does not pass its check; the earlier champion stays.
    """
    with reaching_mlflow(settings):
        registry = Registry(settings)
        champions = {service: registry.version_of(service, CHAMPION) for service in registry.services()}
        found = {service: version for service, version in champions.items() if version is not None}
        if not found:
            raise MissingStepError("MLflow's registry holds no champion; run `potluck train SERVICE` first")
        return [pull(settings, registry, service, version) for service, version in found.items()]


def pull(settings: Settings, registry: Registry, service: str, version: str) -> Pulled:
    releases = Releases(settings.releases)
    if releases.holds(service, version):
        return Pulled(service, version, changed=False)
    with tempfile.TemporaryDirectory() as folder:
        digest = releases.lay_down(registry.download(service, version, Path(folder)))
    releases.promote(Release(service, digest, version))
    return Pulled(service, version, changed=True)
