"""A log that is up to date, whether or not a server runs: who reads it decodes first."""

import contextlib
import time
from collections.abc import Iterator

from monitoring.decode.decoder import Decoder, open_decoder
from potluck.contract.errors import Locked
from potluck.contract.lock import exclusive
from potluck.contract.settings import Settings
from potluck.inference_log.layout import LogLayout

BUSY = "the inference log is being decoded"
WAIT_SECONDS = 60.0
"""A server's decoder holds the lock for less than a second, unless it has much to catch up."""
LOOK_SECONDS = 0.05


@contextlib.contextmanager
def caught_up(settings: Settings) -> Iterator[Decoder]:
    """Decode what the workers have written, and hold every other decoder off until the block ends.

    Raises:
        Locked: another process has decoded for a minute.
        OSError: a file can't be read or written.
    """
    with decoder_lock(LogLayout(settings.home)):
        decoder = open_decoder(settings)
        decoder.decode_all()
        yield decoder


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
