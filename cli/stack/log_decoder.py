"""The decoder of the inference log, beside the workers of `potluck serve`."""

import contextlib
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

from potluck.contract.settings import Settings

logger = logging.getLogger("potluck.serving")

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
END_SECONDS = 10.0
"""So long the decoder may take for what the workers wrote last; what is left the next one takes."""


class LogDecoder:
    """The decoder's process, started again when it ends before it is asked to."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.keep, name="log-decoder", daemon=True)

    def keep(self) -> None:
        """Start it, and again after ever longer pauses."""
        pause = FIRST_PAUSE_SECONDS
        while not self.ending.is_set():
            # It ends when its standard input is closed, however this process ends.
            command = [sys.executable, "-m", "monitoring.decode"]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE)
            code = self.process.wait()
            if self.ending.is_set():
                return
            logger.error("the decoder of the inference log ended with exit code %d", code)
            self.ending.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def end(self) -> None:
        """Have it decode what is left, and end."""
        self.ending.set()
        process = self.process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            logger.warning("the inference log is not decoded to its end; the next start goes on")
            process.kill()


@contextlib.contextmanager
def log_decoder(settings: Settings) -> Iterator[None]:
    """Run the decoder while the block does, if the settings want an inference log."""
    if not settings.inference_log:
        yield
        return
    decoder = LogDecoder()
    decoder.thread.start()
    try:
        yield
    finally:
        decoder.end()
