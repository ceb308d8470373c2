"""MLflow's registry: versions whose artifact is a bundle, with the aliases champion, challenger."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mlflow
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.models import Model

from potluck.contract.errors import BundleError, PotluckError, ServiceUnreachable, UsageError
from potluck.contract.features import FeatureContract, read_contract
from potluck.contract.home import make_home
from potluck.contract.manifest import MANIFEST
from potluck.contract.settings import Settings
from potluck.scoring.bundle import CONTRACT_FILE
from training.flavor import BundleFlavor
from training.moved import artifact_location, follow_home
from training.projects import wanted_projects
from training.tracking import short_reason

CHAMPION, CHALLENGER = "champion", "challenger"
SERVICE_TAG = "potluck.feature_service"
"""On a run: the feature service that it trained."""
PROJECT_TAG = "potluck.project"
"""On a registered model: the Feast project that it belongs to. Another team's model has none."""
RETIRED_TAG = "potluck.retired"
"""On a registered model that was taken out of service: homes that follow the registry drop it."""
ARTIFACT = "bundle"
PAGE = 200
NO_SUCH_ALIAS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
NOT_OURS = (*NO_SUCH_ALIAS, "PERMISSION_DENIED")
"""Error codes of a run that is gone, or that another team may read alone."""


class Registry:
    """MLflow's registry, as one home sees it: the models of its projects."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.projects = wanted_projects(settings)
        """None is every project."""
        make_home(settings.home)
        follow_home(settings)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        mlflow.set_tracking_uri(settings.tracking_uri)
        mlflow.set_registry_uri(settings.tracking_uri)
        self.client = mlflow.MlflowClient()

    @contextlib.contextmanager
    def run(self, contract: FeatureContract, name: str) -> Iterator[mlflow.ActiveRun]:
        """Open a run in the project's experiment, until the block ends."""
        experiment = self.experiment(contract.project)
        with mlflow.start_run(experiment_id=experiment, run_name=name) as run:
            yield run

    def experiment(self, project: str) -> str:
        """Find the project's experiment, or create it.

        Returns:
            Its id.
        """
        found = self.client.get_experiment_by_name(project)
        if found is not None:
            return str(found.experiment_id)
        local = self.settings.tracking_uri == self.settings.local_tracking_uri
        # With SQLite, MLflow's own default would put artifacts below the working directory.
        location = artifact_location(self.settings) if local else None
        return str(self.client.create_experiment(project, artifact_location=location))

    def register(self, contract: FeatureContract, bundle: Path, run: mlflow.ActiveRun) -> str:
        """Log a bundle as the artifact of a new model version.

        Returns:
            The version.
        """
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
        """Find the version that an alias points to; None where there is no such alias.

        Raises:
            MlflowException: MLflow does not answer, so that the alias may exist.
        """
        try:
            return str(self.client.get_model_version_by_alias(service, alias).version)
        except MlflowException as error:
            if error.error_code in NO_SUCH_ALIAS:
                return None
            raise

    def point(self, service: str, alias: str, version: str) -> None:
        """Give a version an alias; a service that gets a champion is not retired any more."""
        self.client.set_registered_model_alias(service, alias, version)
        if alias == CHAMPION and self.is_retired(service):
            self.client.delete_registered_model_tag(service, RETIRED_TAG)

    def unpoint(self, service: str, alias: str) -> None:
        self.client.delete_registered_model_alias(service, alias)

    def retire(self, service: str) -> None:
        """Leave the service without a champion, and mark that this was intended."""
        # The mark first: without it, the next version to be trained becomes champion by itself.
        self.client.set_registered_model_tag(service, RETIRED_TAG, "true")
        self.unpoint(service, CHAMPION)

    def is_retired(self, service: str) -> bool:
        return RETIRED_TAG in self.client.get_registered_model(service).tags

    def awaits_champion(self, service: str) -> bool:
        """Say whether the next version becomes champion: there is none, and none was retired."""
        return self.version_of(service, CHAMPION) is None and not self.is_retired(service)

    def download(self, service: str, version: str, folder: Path) -> Path:
        """Fetch a version's bundle into a folder.

        Raises:
            BundleError: it holds no bundle; MLflow gives an empty folder for artifacts that are
                gone.
        """
        uri = f"models:/{service}/{version}"
        found = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
        if not (found / MANIFEST).is_file():
            source = self.client.get_model_version(service, version).source
            raise BundleError(
                f"version {version} of {service} holds no bundle: its artifacts at {source} are "
                f"gone, or are another team's model that bears the tag {PROJECT_TAG}"
            )
        return found

    def contract(self, service: str, version: str) -> FeatureContract:
        """Read the contract of a version."""
        with tempfile.TemporaryDirectory() as folder:
            bundle = self.download(service, version, Path(folder))
            return read_contract((bundle / CONTRACT_FILE).read_bytes())

    def services(self) -> list[str]:
        """Name the feature services of our projects; models of other teams are left out."""
        models, _ = self.models()
        return [model.name for model in models]

    def models(self) -> tuple[list[RegisteredModel], list[PotluckError]]:
        """Find the registered models of our projects.

        Returns:
            The models, sorted by name; an error for each model that may be one of them.
        """
        ours, errors = [], list[PotluckError]()
        for model in self.registered_models():
            try:
                if self.is_ours(model):
                    ours.append(model)
            except MlflowException as error:
                told = f"MLflow does not say whose model {model.name} is: {short_reason(error)}"
                errors.append(ServiceUnreachable(told))
        return sorted(ours, key=lambda model: str(model.name)), errors

    def registered_models(self) -> Iterator[RegisteredModel]:
        token: str | None = None
        while True:
            page = self.client.search_registered_models(max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def is_ours(self, model: RegisteredModel) -> bool:
        project = self.project_of(model)
        return project is not None and (self.projects is None or project in self.projects)

    def project_of(self, model: RegisteredModel) -> str | None:
        """Find the Feast project of a registered model; None where it is no feature service."""
        if PROJECT_TAG in model.tags:
            return str(model.tags[PROJECT_TAG])
        named = model.aliases.get(CHAMPION) or model.aliases.get(CHALLENGER)
        return None if named is None else self.project_of_run(model.name, named)

    def project_of_run(self, name: str, version: str) -> str | None:
        """Find the project whose experiment holds a version's run.

        Needed for models of version 0.1.0, which tagged only its runs.
        """
        try:
            run_id = self.client.get_model_version(name, version).run_id
            run = self.client.get_run(run_id) if run_id else None
            if run is None or run.data.tags.get(SERVICE_TAG) != name:
                return None
            return str(self.client.get_experiment(run.info.experiment_id).name)
        except MlflowException as error:
            if error.error_code in NOT_OURS:
                return None
            raise

    def check_owner(self, service: str, project: str) -> None:
        """Refuse to add versions to a model of another project, or of another team.

        Raises:
            UsageError: the name is taken.
        """
        try:
            model = self.client.get_registered_model(service)
        except MlflowException as error:
            if error.error_code in NO_SUCH_ALIAS:
                return
            raise
        owner = self.project_of(model)
        is_free = not model.latest_versions or RETIRED_TAG in model.tags
        if owner == project or (owner is None and is_free):
            return
        whose = "of another team" if owner is None else f"of project {owner}"
        raise UsageError(
            f"MLflow's registry holds a model {service} {whose}, and {project} is to train a "
            "service of that name: give the feature service another name, or name another "
            "registry with MLFLOW_TRACKING_URI"
        )

    def versions(self, service: str) -> list[ModelVersion]:
        """Read all versions of one of `services()`, the oldest first."""
        found: list[ModelVersion] = []
        token: str | None = None
        while True:
            page = self.client.search_model_versions(
                f"name = '{service}'", max_results=PAGE, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return sorted(found, key=lambda version: int(version.version))
