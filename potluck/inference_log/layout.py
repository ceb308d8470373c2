"""Where the inference log lies.

<home>/inferences/
  server_id               names this home's files in a log that several homes share
  salt                    of hashed columns; for the owner alone
  decoded.json            how far the decoder has come, and the sums of the workers that have ended
  decoder.lock            held by the one process that decodes
  skew.json               what the last comparison with the offline store found
  workers/<worker>/       of one worker of a server
    counts                its counters, in memory that outlives it; it holds the file's lock
    <number>.segment      rows as they were answered, until they are decoded
  parquet/<service>/<day>/<server>-<number>.parquet
                          the log itself, unless `POTLUCK_INFERENCE_LOG_URL` names another place
"""

from pathlib import Path

SEGMENT_SUFFIX = ".segment"


class LogLayout:
    """The paths of a home's inference log."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "inferences"
        self.server_id = self.folder / "server_id"
        self.salt = self.folder / "salt"
        self.decoded = self.folder / "decoded.json"
        self.decoder_lock = self.folder / "decoder.lock"
        self.skew = self.folder / "skew.json"
        self.workers = self.folder / "workers"
        self.parquet = self.folder / "parquet"

    def worker_folders(self) -> list[Path]:
        """Return the folders of the workers, the one that began first first."""
        if not self.workers.is_dir():
            return []
        return sorted(path for path in self.workers.iterdir() if is_worker(path))


def is_worker(path: Path) -> bool:
    """Tell a worker's folder from one that is still being made, whose name begins with a dot."""
    return path.is_dir() and not path.name.startswith(".")


def segment_name(number: int) -> str:
    """Return the file name of a worker's segment; names sort as numbers do."""
    return f"{number:08d}{SEGMENT_SUFFIX}"


def segment_number(path: Path) -> int:
    """Return the number of a segment."""
    return int(path.stem)


def segments_of(worker: Path) -> list[Path]:
    """Return a worker's segments in the order in which they were written."""
    return sorted(worker.glob(f"*{SEGMENT_SUFFIX}"))


def segments_bytes(layout: LogLayout) -> int:
    """Return the size of all segments that lie in a home."""
    total = 0
    for worker in layout.worker_folders():
        for segment in segments_of(worker):
            try:
                total += segment.stat().st_size
            except FileNotFoundError:  # decoded and removed since it was listed
                continue
    return total
