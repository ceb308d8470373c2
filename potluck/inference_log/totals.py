"""The rows of a home's servers, added up over its workers."""

from dataclasses import dataclass

from potluck.inference_log.counts import read_counts
from potluck.inference_log.layout import LogLayout
from potluck.inference_log.progress import DecoderProgress


@dataclass(frozen=True)
class Totals:
    """What workers counted, and what is decoded of it."""

    answered: int
    logged: int
    dropped: int
    waiting: int

    @property
    def lost(self) -> int:
        return self.answered - self.logged - self.dropped


def count_totals(layout: LogLayout, progress: DecoderProgress) -> Totals:
    """Add up the workers of a home, living and ended."""
    ended, living = progress.ended, progress.workers.values()
    answered = sum(worker.answered for worker in living)
    dropped = sum(worker.dropped for worker in living)
    logged = sum(worker.logged for worker in living)
    counted = 0
    for folder in layout.worker_folders():
        if folder.name not in progress.counted:
            counted += read_counts(folder).answered
    return Totals(
        ended.answered + answered,
        ended.logged + logged,
        ended.dropped + dropped,
        max(0, counted - answered),
    )
