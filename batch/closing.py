"""The steps after the switch: history, pruning, and the end of the run."""

from batch.opening import LeasedRun
from batch.profile import profile_of
from batch.prune import prune_slot
from batch.request import RunRequest
from batch.shards import ScoredShards
from batch.summary import RunSummary, summary_of
from potluck.contract.publication import Pointer


def write_history(run: LeasedRun, scored: ScoredShards, pointer: Pointer) -> None:
    """Write the run into the offline store, with the profile that the next run is compared with."""
    with run.journal.step("history"):
        profile = profile_of(pointer.run_id, scored.values)
        run.request.history.write(scored.tables(), pointer, profile)


def prune_former(run: LeasedRun, scored: ScoredShards, pointer: Pointer) -> None:
    """Delete the predictions of entities that left the population from the run's slot.

    Raises:
        Locked: the lease is lost.
        ServiceUnreachable: Redis went away; the run is published, and the next one prunes.
    """
    with run.journal.step("prune"):
        pruned = prune_slot(run.request.view, scored.tables(), pointer, run.lease)
        run.journal.note_pruned(pruned)


def close_run(run: LeasedRun, scored: ScoredShards, pointer: Pointer) -> RunSummary:
    """End the run, and delete its shards: their rows are in the history now."""
    manifest = run.journal.close()
    run.request.runs.tidy(manifest.run_id, run.request.settings.keep_runs)
    scored.folder.drop_shards()
    return summary_of(
        run.request.task,
        pointer,
        "published",
        manifest,
        seconds=manifest.seconds,
    )


def summarize_done(request: RunRequest, pointer: Pointer) -> RunSummary:
    """Summarize a run that was published before."""
    manifest = request.runs.folder(pointer.run_id).read()
    return summary_of(request.task, pointer, "already done", manifest)
