"""A log that is up to date, whether or not a server runs: who reads it decodes first."""

import contextlib
import time
from collections.abc import Iterator

from monitoring.decode.decoder import Decoder, open_decoder
from potluck.contract.errors import Locked
from potluck.contract.lock import exclusive
from potluck.contract.settings import Settings
from potluck.inference_log.counts import read_counts
from potluck.inference_log.layout import LogLayout
from potluck.inference_log.progress import WorkerProgress

BUSY = "the inference log is being decoded"
WAIT_SECONDS = 60.0
"""A server's decoder holds the lock for less than a second, unless it has much to catch up."""
WRITTEN_SECONDS = 1.0
"""A worker writes a row some 0.1 s after its answer."""
LOOK_SECONDS = 0.05


@contextlib.contextmanager
def caught_up(settings: Settings) -> Iterator[Decoder]:
    """Decode what the workers have answered by now, and hold other decoders off until the end.

    Raises:
        Locked: another process has decoded for a minute.
        OSError: a file can't be read or written.
    """
    with decoder_lock(LogLayout(settings.home)):
        decoder = open_decoder(settings)
        decode_until(decoder, answered_by_now(decoder))
        yield decoder


def decode_until(decoder: Decoder, answered: dict[str, int]) -> None:
    """Decode until the workers' rows are there; what a worker does not write in time has to wait.

    Args:
        answered: worker -> how many of its rows to wait for.
    """
    deadline = time.monotonic() + WRITTEN_SECONDS
    while True:
        decoder.decode_all()
        workers = decoder.progress.workers
        late = [name for name, rows in answered.items() if is_behind(workers.get(name), rows)]
        if not late or time.monotonic() >= deadline:
            return
        time.sleep(LOOK_SECONDS)


def is_behind(worker: WorkerProgress | None, answered: int) -> bool:
    """Whether a living worker's rows are not all decoded; one that ended has nothing more."""
    return worker is not None and worker.answered < answered


def answered_by_now(decoder: Decoder) -> dict[str, int]:
    """Return how many rows each worker has answered."""
    folders = decoder.layout.worker_folders()
    return {folder.name: read_counts(folder).answered for folder in folders}


@contextlib.contextmanager
def decoder_lock(layout: LogLayout) -> Iterator[None]:
    """Hold the lock of the one process that decodes, as soon as it is free."""
    deadline = time.monotonic() + WAIT_SECONDS
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(exclusive(layout.decoder_lock, BUSY))
                break
            except Locked:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(LOOK_SECONDS)
        yield
