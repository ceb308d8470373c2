"""The output of a process that is not ours, such as MLflow's server, as lines of our log."""

import logging
import threading
from typing import IO


def log_in_background(name: str, output: IO[bytes]) -> None:
    """Log what comes, line by line, until the other end closes."""
    thread = threading.Thread(
        target=log_lines, args=(name, output), name=f"output-{name}", daemon=True
    )
    thread.start()


def log_lines(name: str, output: IO[bytes]) -> None:
    logger = logging.getLogger(name)
    with output:
        for line in output:
            text = line.decode(errors="replace").strip()
            if text:
                logger.info(text)
