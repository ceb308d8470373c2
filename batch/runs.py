"""What a run leaves in the home: a manifest, and the scored shards until they are in the history.

runs/<service>/<run id>/
  manifest.json    replaced atomically after each step
  shards/          one parquet file a scored shard; gone once the run is in the history
"""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from batch.score import FAILURE, ScoredShard
from potluck.contract.accounting import Account
from potluck.contract.files import write_whole
from potluck.contract.formats import NEWEST, Format
from potluck.stores.parquet.shard import Shard

Status = Literal["running", "failed", "refused", "published", "rolled back"]


@dataclass
class ShardRecord:
    """A scored shard on disk."""

    number: int
    rows: int
    first: int | str
    last: int | str
    failed: int
    sha256: str


@dataclass
class Check:
    """One verification of a run."""

    name: str
    found: float
    limit: float
    holds: bool
    told: str


@dataclass
class Manifest:
    """A run of one precomputed service."""

    service: str
    scored_by: str
    model_version: str
    bundle: str
    run_id: str
    as_of: datetime
    started_at: datetime
    status: Status = "running"
    step: str = ""
    error: str | None = None
    finished_at: datetime | None = None
    population: int = 0
    rows: int = 0
    failed_rows: int = 0
    account: Account | None = None
    """Of the population's rows, as far as the run came.

    The kept ones have a prediction, or would have one.
    """
    shards: dict[int, ShardRecord] = field(default_factory=dict)
    resumed_shards: int = 0
    checks: list[Check] = field(default_factory=list)
    forced: str | None = None
    notes: list[str] = field(default_factory=list)
    """What could not be checked."""
    token: int = 0
    pruned: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Step -> seconds."""
    format: Format = NEWEST


MANIFEST = TypeAdapter(Manifest)


class RunFolder:
    """One run on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest_file = path / "manifest.json"
        self.shards = path / "shards"

    def read(self) -> Manifest | None:
        try:
            return MANIFEST.validate_json(self.manifest_file.read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, manifest: Manifest) -> None:
        """Replace the manifest in one step."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.manifest_file, MANIFEST.dump_json(manifest, indent=1))

    def keep(self, scored: ScoredShard) -> ShardRecord:
        """Write a scored shard, atomically: a killed run leaves the whole file or no file."""
        self.shards.mkdir(parents=True, exist_ok=True)
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_batches([scored.rows]), sink)
        content = sink.getvalue()
        write_whole(self.file(scored.shard.number), content)
        failed = scored.rows.num_rows - scored.rows.column(FAILURE).null_count
        shard = scored.shard
        digest = hashlib.sha256(content).hexdigest()
        rows = scored.rows.num_rows
        return ShardRecord(shard.number, rows, shard.first, shard.last, failed, digest)

    def holds(self, shard: Shard, record: ShardRecord | None) -> bool:
        """Say whether this shard was scored already and its file is whole."""
        if record is None:
            return False
        if (record.rows, record.first, record.last) != (shard.rows, shard.first, shard.last):
            return False
        with contextlib.suppress(OSError):
            return hashlib.sha256(self.file(shard.number).read_bytes()).hexdigest() == record.sha256
        return False

    def tables(self, numbers: Sequence[int]) -> Iterator[pa.Table]:
        """Read the scored shards in the order of their keys, one at a time."""
        return (pq.read_table(self.file(number)) for number in sorted(numbers))

    def file(self, number: int) -> Path:
        return self.shards / f"{number:06}.parquet"

    def drop_shards(self) -> None:
        shutil.rmtree(self.shards, ignore_errors=True)


class Runs:
    """The runs of one precomputed service."""

    def __init__(self, home: Path, service: str) -> None:
        self.path = home / "runs" / service

    def folder(self, run_id: str) -> RunFolder:
        return RunFolder(self.path / run_id)

    def all(self) -> list[tuple[RunFolder, Manifest]]:
        """Read every run that has a manifest, the earliest first."""
        if not self.path.is_dir():
            return []
        found = []
        for path in self.path.iterdir():
            folder = RunFolder(path)
            manifest = folder.read()
            if manifest is not None:
                found.append((folder, manifest))
        return sorted(found, key=lambda run: run[1].started_at)

    def unfinished(self) -> Manifest | None:
        """Return the latest run, if it did not come to its end."""
        manifests = [manifest for _, manifest in self.all()]
        if not manifests or manifests[-1].status not in ("running", "failed", "refused"):
            return None
        return manifests[-1]

    def tidy(self, current: str, keep: int) -> None:
        """Delete the scored shards of earlier runs, and the oldest runs.

        Args:
            current: the run that is left as it is.
            keep: how many of the other runs keep their manifest.
        """
        others = [folder for folder, manifest in self.all() if manifest.run_id != current]
        for folder in others:
            folder.drop_shards()
        for folder in others[: max(0, len(others) - keep)]:
            shutil.rmtree(folder.path, ignore_errors=True)
