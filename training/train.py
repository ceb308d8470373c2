"""One service, from the registry's definition to a model version that may serve."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource

from potluck.contract.features import FeatureContract, Lineage
from potluck.contract.settings import Settings
from potluck.scoring.bundle import write_bundle
from potluck.scoring.golden import golden_rows
from potluck.scoring.releases import Release, Releases
from potluck.stores.definitions import Definition, definition_hash, definition_of
from potluck.stores.repo import open_store
from training.dataset import Dataset, labelled_dataset, sample_rows, split_by_time
from training.evidence import importance_figure
from training.fit import DEFAULTS, Fitted, Parameters, Progress, fit
from training.lineage import git_commit, lock_hash
from training.metrics import evaluate
from training.registry import CHALLENGER, CHAMPION, Registry, reaching_mlflow

GOLDEN_ROWS = 32


@dataclass(frozen=True)
class Trained:
    """What `potluck train` did."""

    service: str
    model_version: str
    alias: str
    digest: str
    metrics: dict[str, float]
    train_rows: int
    test_rows: int
    run_id: str


@dataclass(frozen=True)
class Plan:
    """What to train, all of it an argument: the same plan over the same data gives the same bundle."""

    service: str
    as_of: datetime
    seed: int = 0
    promote: bool = False
    parameters: Parameters | None = None

    @property
    def all_parameters(self) -> Parameters:
        return {**DEFAULTS, **(self.parameters or {})}

    @property
    def iterations(self) -> int:
        return int(self.all_parameters["num_iterations"])


def train(settings: Settings, plan: Plan, progress: Progress = lambda _: None) -> Trained:
    """Fit on the earlier rows, measure on the later ones, refit on all, register, lay down.

    Raises:
        MissingStepError: nothing was applied or ingested.
        DefinitionError, DataError: the definitions or the data don't allow it.
        ServiceUnreachable: MLflow, or the registry of Feast, does not answer.
        BundleError: what came out does not pass its own check; nothing is promoted.
    """
    store = open_store(settings.repo)
    definition = definition_of(store, plan.service)
    dataset = labelled_dataset(store, definition.contract, plan.as_of)
    with reaching_mlflow(settings):
        registry = Registry(settings)
        registry.experiment(store.project)  # before the work, not after it
        return registered(settings, registry, plan, fitted(settings, definition, dataset, plan, progress))


@dataclass(frozen=True)
class Result:
    """A model that was measured, and refitted on all rows."""

    served: Fitted
    metrics: dict[str, float]
    dataset: Dataset
    train_rows: int
    test_rows: int


def fitted(settings: Settings, definition: Definition, dataset: Dataset, plan: Plan, progress: Progress) -> Result:
    earlier, later = split_by_time(dataset)
    metrics = measure(fit(definition, earlier, plan.all_parameters, plan.seed, progress), later)
    served = fit(definition, dataset, plan.all_parameters, plan.seed, progress)
    served = with_lineage(settings, definition, served, dataset, plan.as_of)
    return Result(served, metrics, dataset, len(earlier), len(later))


def registered(settings: Settings, registry: Registry, plan: Plan, result: Result) -> Trained:
    """Record the run, lay the bundle down, make it a version, and give that its alias."""
    served = result.served
    with registry.run(served.contract) as run, tempfile.TemporaryDirectory() as folder:
        record(plan, served, result.dataset, result.metrics)
        digest = pack(Path(folder), served, result.dataset, plan.seed)
        Releases(settings.releases).lay_down(Path(folder))
        version = registry.register(served.contract, Path(folder), run)
    alias = promote(settings, registry, Release(plan.service, digest, version), plan.promote)
    rows = (result.train_rows, result.test_rows)
    return Trained(plan.service, version, alias, digest, result.metrics, *rows, run_id=run.info.run_id)


def measure(fitted: Fitted, later: Dataset) -> dict[str, float]:
    """Metrics of a model on rows after its own, by the very path that serves."""
    scored = fitted.open().score(later.inputs.columns, later.inputs.times)
    return evaluate(fitted.contract, later.labels, scored.predictions)


def with_lineage(
    settings: Settings, definition: Definition, fitted: Fitted, dataset: Dataset, as_of: datetime
) -> Fitted:
    lineage = Lineage(
        registry_hash=definition_hash(definition),
        data_hash=dataset.digest,
        lock_hash=lock_hash(),
        git_commit=git_commit(settings.repo),
        as_of=as_of,
    )
    return replace(fitted, contract=replace(fitted.contract, lineage=lineage))


def record(plan: Plan, fitted: Fitted, dataset: Dataset, metrics: Mapping[str, float]) -> None:
    """Tell the active run what was done, on what, and how well."""
    contract = fitted.contract
    mlflow.log_params({**plan.all_parameters, "seed": plan.seed, "as_of": plan.as_of.isoformat()})
    mlflow.log_params({"transform": contract.transform, "columns": len(contract.columns)})
    mlflow.log_metrics(dict(metrics))
    mlflow.set_tags(lineage_tags(contract))
    frame = dataset.inputs.table.to_pandas().assign(**{contract.label: dataset.labels})
    source = CodeDatasetSource(tags={"feature_service": contract.service, "label": contract.label_source})
    data = mlflow.data.from_pandas(
        frame, source=source, targets=contract.label, name=contract.label_source, digest=dataset.digest[:36]
    )
    mlflow.log_input(data, context="training")
    mlflow.log_figure(importance_figure(contract.service, fitted.gains), "feature_importance.png")


def lineage_tags(contract: FeatureContract) -> dict[str, str]:
    assert contract.lineage is not None
    known = {name: str(value) for name, value in asdict(contract.lineage).items() if value is not None}
    return {f"potluck.{name}": value for name, value in known.items()} | {"potluck.feature_service": contract.service}


def pack(folder: Path, fitted: Fitted, dataset: Dataset, seed: int) -> str:
    """Write the bundle and answer its digest."""
    golden = sample_rows(dataset, GOLDEN_ROWS, seed)
    text = golden_rows(fitted.open(), golden.inputs.columns, golden.inputs.times)
    return write_bundle(folder, fitted.contract, fitted.functions_source, fitted.model_text, text)


def promote(settings: Settings, registry: Registry, release: Release, wanted: bool) -> str:
    """The first version becomes champion; a later one challenger, unless its promotion is wanted."""
    alias = CHAMPION if wanted or registry.awaits_champion(release.service) else CHALLENGER
    registry.point(release.service, alias, release.model_version)
    if alias == CHAMPION:
        Releases(settings.releases).promote(release)
    return alias
