"""The one owner of a run's manifest: only the journal changes it, and writes it before each step.

It is on disk only once the run has a name and there is something to do: a run that is published
already leaves its manifest as it was.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from batch.lease import Lease
from batch.runs import Check, Manifest, RunFolder, ShardRecord, Status, utc_now
from potluck.contract.accounting import Account, LeftOut, account
from potluck.contract.errors import PotluckError, Refused


class Journal:
    """Notes what one run does; an error that ends the block ends the run."""

    def __init__(self, manifest: Manifest, lease: Lease) -> None:
        self.manifest, self.lease = manifest, lease
        self.folder: RunFolder | None = None
        """None until the run has a name; until then nothing is written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        # Any other exception is a defect, or the process is told to stop: the run stays "running".
        if isinstance(error, Refused):
            self._end("refused", str(error))
        elif isinstance(error, PotluckError):
            self._end("failed", str(error))

    def open(self, folder: RunFolder, run_id: str, rows: Account) -> None:
        """Give the run its name and its folder.

        Args:
            rows: what became of the population's rows.
        """
        self.folder = folder
        self.manifest.run_id = run_id
        self.manifest.population = rows.kept
        self.manifest.account = rows

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Begin a step, and note how long it took if it came to its end.

        Raises:
            Locked: the lease is lost.
        """
        self.begin(name)
        started = time.perf_counter()
        yield
        self.note_seconds({name: time.perf_counter() - started})

    def begin(self, name: str) -> None:
        """
        Raises:
            Locked: the lease is lost.
        """
        self.lease.check()
        self.manifest.step = name
        self._write()

    def note_seconds(self, seconds: Mapping[str, float]) -> None:
        self.manifest.seconds |= {name: round(spent, 3) for name, spent in seconds.items()}

    def note_resumed(self, records: Mapping[int, ShardRecord]) -> None:
        """Take over the shards that an earlier run of this name scored; the next step writes it."""
        self.manifest.shards = dict(records)
        self.manifest.resumed_shards = len(records)

    def note_shard(self, record: ShardRecord) -> int:
        """Note a shard at once, as each is one that a resumed run need not score.

        Returns:
            The rows that are scored so far.
        """
        self.manifest.shards[record.number] = record
        self._write()
        return sum(each.rows for each in self.manifest.shards.values())

    def note_failures(self, rows: Account, failures: Sequence[LeftOut]) -> None:
        self.manifest.failed_rows = sum(each.count for each in failures)
        self.note_left_out(rows, failures)

    def note_left_out(self, rows: Account, entities: Sequence[LeftOut]) -> None:
        """Note what became of the population's rows, entities without a prediction included."""
        reasons = (*rows.left_out, *entities)
        self.manifest.account = account(rows.table, rows.came, reasons)

    def take_over_account(self, earlier: Manifest | None) -> None:
        """Keep the account of the run that was published: it also says what Redis refused."""
        if earlier is not None and earlier.account is not None:
            self.manifest.account = earlier.account

    def note_checks(self, checks: Sequence[Check]) -> None:
        self.manifest.checks = list(checks)

    def note_unchecked(self, what: str) -> None:
        """Note what could not be checked; nothing where `what` is empty."""
        self.manifest.notes = [what] if what else []

    def note_pruned(self, entities: int) -> None:
        self.manifest.pruned = entities

    def close(self) -> Manifest:
        """End the run as published.

        Returns:
            The manifest, which does not change any more.
        """
        self._end("published")
        return self.manifest

    def _end(self, status: Status, error: str | None = None) -> None:
        manifest = self.manifest
        manifest.status, manifest.error, manifest.finished_at = status, error, utc_now()
        manifest.rows = manifest.account.kept if manifest.account else 0
        self._write()

    def _write(self) -> None:
        if self.folder is not None:
            self.folder.write(self.manifest)
