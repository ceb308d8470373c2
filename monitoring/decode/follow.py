"""The process beside the workers: decodes until the server is gone, then what is left."""

import logging
import os
import select
import sys
import time
import traceback
from contextlib import suppress

from monitoring.decode.decoder import Decoder, open_decoder
from monitoring.decode.limit import PASS_SECONDS, limited_pass
from monitoring.retention import remove_old
from potluck.contract import logs
from potluck.contract.errors import Locked, PotluckError
from potluck.contract.lock import exclusive
from potluck.contract.secrets import masked
from potluck.contract.settings import Settings, load_settings
from potluck.inference_log.layout import LogLayout

logger = logging.getLogger("potluck.log")

LOOK_SECONDS = 1.0
RETENTION_SECONDS = 3600.0
BUSY = "another process decodes the inference log"
NICER = 10
"""The server's workers come first."""


def main() -> None:
    """Decode a home's log while standard input is open: its other end is the server's."""
    settings = load_settings()
    logs.set_up(settings)
    with suppress(OSError):
        os.nice(NICER)
    follow(settings)


def follow(settings: Settings) -> None:
    """Decode every second; after the server's end once more."""
    passes = Passes(settings)
    failure = ""
    while True:
        is_last = is_parent_gone(LOOK_SECONDS)
        try:
            with limited_pass(PASS_SECONDS):
                passes.one()
            failure = told("", failure)
        except Exception as error:  # whatever it is, the segments still lie there
            failure = told(f"{type(error).__name__}: {error}", failure, error)
            passes.forget()
        if is_last:
            return


class Passes:
    """Passes of one process; between them others may decode, erase, or remove."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.layout = settings, LogLayout(settings.home)
        self.decoder: Decoder | None = None
        self.left: object = None
        """What the state of the log was when this process left it."""
        self.retained_at = -RETENTION_SECONDS

    def one(self) -> None:
        """Decode what is new, unless another process is at it."""
        with suppress(Locked), exclusive(self.layout.decoder_lock, BUSY):
            if self.decoder is None or self.left != state_of(self.layout):
                self.decoder = open_decoder(self.settings)
            self.decoder.decode_all()
            if time.monotonic() - self.retained_at >= RETENTION_SECONDS:
                remove_old(self.decoder, self.settings)
                self.retained_at = time.monotonic()
            self.left = state_of(self.layout)

    def forget(self) -> None:
        """Begin the next pass from what lies on the disk."""
        self.decoder = None


def state_of(layout: LogLayout) -> object:
    """Return what differs when another process has written the decoder's progress."""
    if not layout.decoded.exists():
        return None
    stat = layout.decoded.stat()
    return stat.st_mtime_ns, stat.st_ino


def told(now: str, before: str, error: Exception | None = None) -> str:
    """Log a failure once, until it is another one or none."""
    if now and now != before:
        words = "the inference log can't be decoded: %s; trying again, the segments stay"
        logger.error(words + trace_of(error), masked(now))
    elif before and not now:
        logger.info("the inference log is decoded again")
    return now


def trace_of(error: Exception | None) -> str:
    """Return the trace of an error that nobody foresaw, as a part of the line that tells it.

    As logging writes a trace, it could hold the password of the log's URL.
    """
    if error is None or isinstance(error, PotluckError | OSError):
        return ""
    text = masked("".join(traceback.format_exception(error)))
    return "\n" + text.rstrip().replace("%", "%%")


def is_parent_gone(seconds: float) -> bool:
    """Wait, at the longest until the other end of standard input is closed.

    Returns:
        Whether it is.
    """
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable) and not os.read(sys.stdin.fileno(), 4096)
