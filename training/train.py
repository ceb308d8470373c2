"""Train one service: from the registry's definition to a model version that may serve."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import mlflow

from potluck.contract.accounting import Account
from potluck.contract.features import Lineage, SplitKind
from potluck.contract.settings import Settings
from potluck.scoring.bundle import write_bundle
from potluck.scoring.golden import golden_rows
from potluck.scoring.releases import Release, Releases
from potluck.stores.definitions.feature_contract import Definition, definition_hash
from potluck.stores.definitions.registry import definition_of
from potluck.stores.definitions.repo import open_store
from training.booster import IterationProgress
from training.candidates import ParameterChoice
from training.champion import ChampionFigures, measure_champion
from training.dataset import Dataset, Gathered, check_gathered, gather, sample_rows
from training.fit import Fitted, fit
from training.lineage import git_commit, lock_hash
from training.measure import Measured, split_and_measure
from training.metrics import ClassFigures
from training.missing import MissingShare, training_shares
from training.parameter_kinds import Value
from training.parameters import Parameters, check_effect, read_parameters
from training.progress import Meter
from training.record import record_run
from training.registry import CHALLENGER, CHAMPION, Registry
from training.tracking import reaching_mlflow
from training.warn import training_warnings

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
    baseline: dict[str, float]
    """The same metrics of the best constants."""
    split: SplitKind
    choice: ParameterChoice
    classes: list[ClassFigures]
    champion: ChampionFigures | None
    """The former champion, on the same rows."""
    looked_up: list[MissingShare]
    warnings: list[str]
    accounts: list[Account]
    forced: str | None = None


@dataclass(frozen=True)
class TrainingPlan:
    """What to train: the same plan over the same data gives the same bundle.

    Raises:
        UsageError: a parameter is unknown, not to be given or given twice, or its value is of a
            wrong kind.
    """

    service: str
    as_of: datetime
    seed: int = 0
    promote: bool = False
    parameters: Sequence[tuple[str, Value]] = field(default=())
    """LightGBM's, as they were given; they override what Potluck chooses."""
    split: SplitKind | None = None
    """Instead of the split that the service's tag names."""
    force: str | None = None
    """Why the as-of date lies in the future."""

    def __post_init__(self) -> None:
        _ = self.given  # read now, so that a wrong parameter is refused before any work

    @cached_property
    def given(self) -> Parameters:
        """The parameters by LightGBM's own names."""
        return read_parameters(self.parameters)


def train(
    settings: Settings, plan: TrainingPlan, progress: IterationProgress = lambda _: None
) -> Trained:
    """Choose parameters and fit on some rows, measure on the others, refit on all, and register.

    Args:
        progress: called with how many of `Meter.WHOLE` parts of the work were done since its last
            call.

    Raises:
        MissingStepError: nothing was applied or ingested.
        DefinitionError, DataError: the definitions or the data don't allow it.
        UsageError: a parameter does nothing for this service, the rows can't be split as asked, or
            MLflow's registry holds a model of this name that is not ours.
        Refused: what the service looks up is missing in every row.
        ServiceUnreachable: MLflow, or the registry of Feast, does not answer.
        BundleError: what came out does not pass its own check; nothing is promoted.
    """
    store = open_store(settings.repo)
    definition = definition_of(store, plan.service)
    check_effect(plan.given, definition.contract.objective)
    gathered = gather(store, definition.contract, plan.as_of)
    check_gathered(definition.contract, gathered, plan.as_of)
    with reaching_mlflow(settings):
        registry = Registry(settings)
        # Before the work, not after it: MLflow may refuse the name, or may not answer.
        registry.check_owner(plan.service, store.project)
        registry.experiment(store.project)
        result = fit_and_measure(settings, definition, gathered, plan, Meter(progress))
        return register_and_promote(settings, registry, plan, result)


@dataclass(frozen=True)
class Result:
    """A model that was measured, and refitted on all rows."""

    served: Fitted
    measured: Measured
    gathered: Gathered
    champion: ChampionFigures | None

    @property
    def looked_up(self) -> list[MissingShare]:
        return training_shares(self.served.contract, self.gathered.dataset)


def fit_and_measure(
    settings: Settings, definition: Definition, gathered: Gathered, plan: TrainingPlan, meter: Meter
) -> Result:
    dataset = gathered.dataset
    kind = plan.split or definition.contract.split
    measured = split_and_measure(definition, dataset, kind, plan.given, plan.seed, meter)
    champion = measure_champion(settings, definition.contract, measured.test)
    parameters = measured.choice.parameters
    with meter.phase(meter.FIT, int(parameters["num_iterations"])) as progress:
        served = fit(definition, dataset, parameters, plan.seed, progress)
    served = with_lineage(settings, definition, served, dataset, plan.as_of)
    return Result(served, measured, gathered, champion)


def register_and_promote(
    settings: Settings, registry: Registry, plan: TrainingPlan, result: Result
) -> Trained:
    """Record the run, write the bundle into the home, register it, and give it an alias."""
    served, dataset = result.served, result.gathered.dataset
    with (
        registry.run(served.contract, run_name(plan, result)) as run,
        tempfile.TemporaryDirectory() as folder,
    ):
        record_run(plan.seed, plan.as_of, served, result.measured, result.gathered, result.champion)
        if plan.force is not None:
            mlflow.set_tag("potluck.forced", plan.force)
        digest = pack(Path(folder), served, dataset, plan.seed)
        Releases(settings.releases).lay_down(Path(folder))
        version = registry.register(served.contract, Path(folder), run)
    release = Release(plan.service, digest, version)
    alias = promote(settings, registry, release, wanted=plan.promote)
    return summarize_training(plan, result, release, alias, run.info.run_id)


def summarize_training(
    plan: TrainingPlan, result: Result, release: Release, alias: str, run_id: str
) -> Trained:
    measured = result.measured
    return Trained(
        service=plan.service,
        model_version=release.model_version,
        alias=alias,
        digest=release.digest,
        metrics=measured.metrics,
        train_rows=measured.learnt_from,
        test_rows=len(measured.test),
        run_id=run_id,
        baseline=measured.baseline,
        split=measured.split,
        choice=measured.choice,
        classes=measured.classes,
        champion=result.champion,
        looked_up=result.looked_up,
        warnings=training_warnings(result.served.contract, result.gathered, measured),
        accounts=[result.gathered.account],
        forced=plan.force,
    )


def run_name(plan: TrainingPlan, result: Result) -> str:
    """Name a run so that it can be told from others in MLflow's list."""
    objective = result.served.contract.objective
    candidate = result.measured.choice.candidate
    return f"{plan.service} · {objective} · {candidate} · data to {plan.as_of:%Y-%m-%d}"


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


def pack(folder: Path, fitted: Fitted, dataset: Dataset, seed: int) -> str:
    """Write the bundle, and return its digest."""
    golden = sample_rows(dataset, GOLDEN_ROWS, seed)
    text = golden_rows(fitted.open(), golden.inputs.columns, golden.inputs.times)
    return write_bundle(folder, fitted.contract, fitted.functions_source, fitted.model_text, text)


def promote(settings: Settings, registry: Registry, release: Release, *, wanted: bool) -> str:
    """Make the first version champion and a later one challenger, or champion if that is wanted."""
    if not wanted and not registry.awaits_champion(release.service):
        registry.point(release.service, CHALLENGER, release.model_version)
        return CHALLENGER
    registry.point(release.service, CHAMPION, release.model_version)
    Releases(settings.releases).promote(release)
    return CHAMPION
