"""Blue/green slots: stage a run in the idle slot, verify it there, and switch readers to it."""

from dataclasses import dataclass, replace

from batch.failures import name_rejected
from batch.opening import LeasedRun, OpenedRun
from batch.preflight import check_memory
from batch.publish import stage
from batch.shards import ScoredShards
from batch.verify import (
    RunOutcome,
    must_hold,
    not_earlier,
    refuse_broken,
    should_hold,
    spread_rows,
    verify_staged,
)
from batch.view import StoredPointer, new_pointer
from potluck.contract.accounting import LeftOut
from potluck.contract.publication import Pointer

PREFLIGHT_ROWS = 64
OVERRULE = '. If this is right, publish it with `potluck nightly --resume --force "the reason"`'


@dataclass(frozen=True)
class StagedSlot:
    """A run that lies in the idle slot; no reader reads it."""

    found: StoredPointer
    """The pointer of the run that is read now, as the switch expects it."""
    pointer: Pointer
    """The pointer that would have readers read the slot."""
    rejected: LeftOut
    """Entities that could not be stored."""


def stage_slot(run: LeasedRun, opened: OpenedRun, scored: ScoredShards) -> StagedSlot:
    """Write the predictions into the idle slot.

    Raises:
        Refused: the run would fill Redis up; nothing was written.
        Locked: the lease is lost.
        ServiceUnreachable: Redis went away, or is full.
    """
    request, view, rows = run.request, run.request.view, scored.rows
    with run.journal.step("stage"):
        found = view.release_idle_slot(run.lease, run.found)
        version = request.task.release.model_version
        occupied = view.read_occupied(found.pointer)
        pointer = new_pointer(occupied, opened.run_id, request.as_of, version, rows)
        estimate = check_memory(view, spread_rows(scored.sample, PREFLIGHT_ROWS), pointer, rows)
        run.journal.note_unchecked(estimate.unknown)
        written = stage(view, scored.tables(), pointer, run.lease, rows, request.progress)
        lost = name_rejected(written, view, scored.tables())
        run.journal.note_left_out(opened.rows, (*scored.failures, lost))
    return StagedSlot(found, replace(pointer, rows=rows - lost.count), lost)


def verify_slot(run: LeasedRun, scored: ScoredShards, staged: StagedSlot) -> None:
    """Look at the predictions as a whole, then read some of them back from the slot.

    Raises:
        Refused: a check does not hold; the last published run stays.
        ServiceUnreachable: Redis went away.
    """
    request, current = run.request, staged.found.pointer
    with run.journal.step("verify"):
        outcome = RunOutcome(scored.population, scored.failures, staged.rejected, scored.values)
        last = None if current is None else request.history.profile(current)
        required = must_hold(outcome)
        thresholds = [
            *not_earlier(request.as_of, current),
            *should_hold(outcome, last, request.settings),
        ]
        # Noted before anything is refused: the manifest shows all checks, not the first broken one.
        run.journal.note_checks(required + thresholds)
        refuse_broken(required)
        if request.force is None:
            refuse_broken(thresholds, OVERRULE)
        verify_staged(request.view, scored.sample, staged.pointer, staged.rejected.count)


def publish_slot(run: LeasedRun, staged: StagedSlot) -> Pointer:
    """Switch readers to the slot, in one atomic step.

    Raises:
        Locked: the lease is lost, or somebody else moved the pointer.
    """
    with run.journal.step("publish"):
        return run.request.view.switch(run.lease, staged.found, staged.pointer)
