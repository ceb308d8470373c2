"""A night: one run of every precomputed service whose model has a champion; or the roll-back.

The steps of a run: validate -> features -> score -> stage -> verify -> publish -> history -> prune.

A publication is atomic: a run that is killed leaves last night's predictions whole. The same run
again converges; with `resume` it scores no shard twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from batch.closing import close_run, prune_former, summarize_done, write_history
from batch.journal import Journal
from batch.lease import Lease
from batch.opening import LeasedRun, new_manifest, open_run
from batch.publish import NO_PROGRESS, StepProgress
from batch.request import RunRequest
from batch.runs import RunFolder, Runs
from batch.shards import score_shards
from batch.slot import publish_slot, stage_slot, verify_slot
from batch.summary import RunSummary, summary_of
from batch.tasks import Task, open_tasks
from potluck.contract.errors import PotluckError
from potluck.contract.settings import Settings


@dataclass
class Night:
    """What was done for the services of a repo, and what went wrong.

    An error of one service does not stop the runs of the others.
    """

    runs: list[RunSummary] = field(default_factory=list)
    errors: list[PotluckError] = field(default_factory=list)


def run_nightly(
    settings: Settings,
    as_of: datetime | None,
    progress: StepProgress = NO_PROGRESS,
    *,
    resume: bool = False,
    force: str | None = None,
) -> Night:
    """Score and publish every precomputed service of the repo whose model has a champion.

    Args:
        as_of: records up to this date are visible, and it is the request time of defaults that
            stand for a part of it. None is now, or the date of the run to resume.
        resume: take over what the last run scored, if it did not come to its end.
        force: the reason why thresholds that do not hold are overruled.

    Raises:
        MissingStepError: there is no champion.
    """
    store, tasks = open_tasks(settings)

    def run(task: Task) -> RunSummary:
        request = RunRequest.of(
            settings,
            store,
            task,
            as_of,
            progress=progress,
            resume=resume,
            force=force,
        )
        return run_service(request)

    return run_each(tasks, run)


def run_service(request: RunRequest) -> RunSummary:
    """Run one service, under the lease of its view.

    Raises:
        Locked: another run of the service is at work, or took over the lease of this run.
        MissingStepError: there is no population.
        Refused: verification said no; the last published run stays.
        ServiceUnreachable: Redis went away, or is full; the last published run stays.
    """
    view = request.view
    with Lease(view.client, view.project, view.publication.view) as lease:
        found = view.read_pointer()
        if request.nothing_to_resume and found.pointer is not None:
            return summarize_done(request, found.pointer)
        with Journal(new_manifest(request, lease.token), lease) as journal:
            return run_steps(LeasedRun(request, lease, found, journal))


def run_steps(run: LeasedRun) -> RunSummary:
    """Take the steps of a run, each with the values that the steps before it returned."""
    opened = open_run(run)
    done = opened.done_before(run.request.history)
    if done is not None:
        return summarize_done(run.request, done)
    scored = score_shards(run, opened)
    if opened.published is None:
        staged = stage_slot(run, opened, scored)
        verify_slot(run, scored, staged)
        pointer = publish_slot(run, staged)
    else:  # an earlier run of this name ended between the switch and its last step
        pointer = opened.published
        run.journal.take_over_account(opened.earlier)
    write_history(run, scored, pointer)
    prune_former(run, scored, pointer)
    return close_run(run, scored, pointer)


def roll_back(settings: Settings) -> Night:
    """Switch readers of every precomputed service of the repo to the run before, at once."""
    _, tasks = open_tasks(settings)
    return run_each(tasks, lambda task: roll_back_service(settings, task))


def roll_back_service(settings: Settings, task: Task) -> RunSummary:
    """
    Raises:
        Locked: a run of the service is at work.
        MissingStepError: there is no run to go back to.
    """
    view = task.view(settings)
    with Lease(view.client, view.project, view.publication.view) as lease:
        pointer = view.roll_back(lease)
    runs = Runs(settings.home, task.publication.service)
    if pointer.previous is not None:
        mark_rolled_back(runs.folder(pointer.previous.run_id))
    return summary_of(task, pointer, "rolled back", runs.folder(pointer.run_id).read())


def mark_rolled_back(folder: RunFolder) -> None:
    manifest = folder.read()
    if manifest is not None:
        folder.write(replace(manifest, status="rolled back"))


def run_each(tasks: list[Task], run: Callable[[Task], RunSummary]) -> Night:
    night = Night()
    for task in tasks:
        try:
            night.runs.append(run(task))
        except PotluckError as error:
            night.errors.append(error)
    return night
