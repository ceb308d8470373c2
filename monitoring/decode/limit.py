"""A limit of time for one pass of the decoder."""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator

logger = logging.getLogger("potluck.log")

PASS_SECONDS = 300.0
"""A pass that takes longer waits for storage that does not answer. One that has so much to decode
loses nothing by its end: it goes on from where its last file was written."""
EXIT_CODE = 75


@contextlib.contextmanager
def limited_pass(seconds: float) -> Iterator[None]:
    """End this process if the block takes longer; the server starts another decoder.

    Arrow gives a silent server up by itself, after retries for about 100 s a call, as measured; one
    that sends a byte now and then, never. The call can't be interrupted. Nor may it be left behind
    in a thread, as its upload could replace a newer file later.
    """
    timer = threading.Timer(seconds, end_process, [seconds])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def end_process(seconds: float) -> None:
    """End at once, with the lock of the log and its open connections."""
    words = "decoding took more than %g s, so the log's storage hangs; the segments stay"
    logger.error(words, seconds)
    os._exit(EXIT_CODE)
