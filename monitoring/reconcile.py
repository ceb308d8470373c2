"""Whether every answered row is accounted for: `answered = logged + dropped + lost`."""

from dataclasses import dataclass

from monitoring.parts import PartFiles
from monitoring.retention import rows_in
from potluck.inference_log.layout import LogLayout
from potluck.inference_log.progress import read_progress
from potluck.inference_log.totals import count_totals


@dataclass(frozen=True)
class Reconciliation:
    """The rows of a home's servers since its log began."""

    answered: int
    """Of a living worker up to where its segments are decoded; of one that ended, all."""
    logged: int
    dropped: int
    """Known not to be written: memory or disk was full."""
    lost: int
    """Answered, and neither written nor known to be dropped: the worker was killed before, or a
    segment is damaged."""
    waiting: int
    """Answered by living workers, and not decoded yet; not part of `answered`."""
    in_files: int
    """Rows that the parquet files of this home hold now."""
    removed: int
    """Logged rows that were removed since: too old, too many, or erased on request."""

    @property
    def adds_up(self) -> bool:
        """Whether the files hold what was logged, and nobody counted a row twice."""
        return self.logged == self.in_files + self.removed and self.lost >= 0

    def text(self) -> str:
        """For people."""
        lines = [
            f"{self.answered:>12,} rows answered",
            f"{self.logged:>12,} logged; {self.removed:,} of them were removed since",
            f"{self.dropped:>12,} dropped: memory or disk was full",
            f"{self.lost:>12,} lost: a worker was killed before it wrote them",
            f"{self.waiting:>12,} more are waiting to be decoded",
        ]
        if not self.adds_up:
            lines.append("the files do not hold what was logged: somebody changed them")
        return "\n".join(lines)


def reconcile(layout: LogLayout, parts: PartFiles) -> Reconciliation:
    """Account for every row that the servers of a home have answered.

    Raises:
        BundleError: `decoded.json` is damaged.
    """
    progress = read_progress(layout.decoded)
    totals = count_totals(layout, progress)
    return Reconciliation(
        totals.answered,
        totals.logged,
        totals.dropped,
        totals.lost,
        totals.waiting,
        rows_in(parts),
        progress.removed,
    )
