"""The output of a process that is not ours, such as MLflow's server, as lines of our log."""

import logging
import threading
from typing import IO


def relay(name: str, output: IO[bytes]) -> None:
    """Log what comes, line by line, until the other end closes."""
    thread = threading.Thread(
        target=pass_on, args=(name, output), name=f"relay-{name}", daemon=True
    )
    thread.start()


def pass_on(name: str, output: IO[bytes]) -> None:
    logger = logging.getLogger(name)
    with output:
        for line in output:
            if text := line.decode(errors="replace").strip():
                logger.info(text)
