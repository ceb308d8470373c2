"""How far the decoder has come: one small file, replaced as a whole after each step."""

from dataclasses import field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from potluck.contract.errors import BundleError
from potluck.contract.files import write_whole
from potluck.contract.formats import NEWEST, Format


@dataclass
class WorkerProgress:
    """How far a worker's segments are decoded, and what it had counted by then."""

    segment: int = 0
    offset: int = 0
    logged: int = 0
    answered: int = 0
    dropped: int = 0


@dataclass
class Sums:
    """Of the workers that have ended."""

    answered: int = 0
    logged: int = 0
    dropped: int = 0


@dataclass
class DecoderProgress:
    """What `decoded.json` holds."""

    workers: dict[str, WorkerProgress] = field(default_factory=dict)
    ended: Sums = field(default_factory=Sums)
    counted: list[str] = field(default_factory=list)
    """Workers that are in the sums, and whose folder may still be there."""
    removed: int = 0
    """Rows that were logged, and removed since: too old, too many, or erased on request."""
    removing: dict[str, int] = field(default_factory=dict)
    """Files that are being removed -> their rows."""
    format: Format = NEWEST

    def worker(self, name: str) -> WorkerProgress:
        """Return how far a worker's segments are decoded."""
        return self.workers.setdefault(name, WorkerProgress())

    def end_worker(self, name: str, answered: int, dropped: int) -> None:
        """Add a worker that has ended, and is decoded, to the sums."""
        worker = self.workers.pop(name, WorkerProgress())
        self.ended.answered += answered
        self.ended.logged += worker.logged
        self.ended.dropped += dropped
        self.counted.append(name)

    def save(self, path: Path) -> None:
        write_whole(path, PROGRESS.dump_json(self, indent=1))


PROGRESS = TypeAdapter(DecoderProgress)


def read_progress(path: Path) -> DecoderProgress:
    """Read how far the decoder has come; nowhere, where there is no file.

    Raises:
        BundleError: the file is damaged.
    """
    try:
        return PROGRESS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return DecoderProgress()
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise BundleError(f"{path} can't be read: {reason}; restore it, or move it away") from None
