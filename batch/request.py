"""What is asked of one service's run, settled before anything is locked or written."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from feast import FeatureStore

from batch.history import History
from batch.publish import NO_PROGRESS, StepProgress
from batch.runs import Runs, utc_now
from batch.tasks import Task
from batch.view import View
from potluck.contract.settings import Settings


@dataclass(frozen=True)
class RunRequest:
    """One precomputed service, one as-of date."""

    settings: Settings
    store: FeatureStore
    task: Task
    view: View
    history: History
    runs: Runs
    as_of: datetime
    progress: StepProgress = NO_PROGRESS
    force: str | None = None
    """Why thresholds that do not hold are overruled; None overrules none."""
    nothing_to_resume: bool = False
    """The last run was to be resumed, and it came to its end."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        store: FeatureStore,
        task: Task,
        as_of: datetime | None,
        *,
        progress: StepProgress = NO_PROGRESS,
        resume: bool = False,
        force: str | None = None,
    ) -> Self:
        """Settle the as-of date: the one given, that of the run to resume, or now.

        Raises:
            DefinitionError: the history's source is no parquet source.
            MissingStepError: the folder that `potluck ingest` leaves is gone.
            DataError: the history has not the columns of a run.
        """
        runs = Runs(settings.home, task.publication.service)
        unfinished = runs.unfinished() if resume else None
        resumed = unfinished.as_of if unfinished else None
        moment = as_of or resumed or utc_now().replace(microsecond=0)
        return cls(
            settings=settings,
            store=store,
            task=task,
            view=task.view(settings),
            history=History(store, task.publication),
            runs=runs,
            as_of=moment.astimezone(UTC),
            progress=progress,
            force=force,
            nothing_to_resume=resume and unfinished is None and as_of is None,
        )
