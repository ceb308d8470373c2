"""A worker whose parent is gone ends: nobody would stop it, and it would hold the port."""

import asyncio
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable

logger = logging.getLogger("potluck.serving")


def follow_parent() -> Callable[[], None]:
    """Drain and end, as at SIGTERM, once the process that started this worker is gone.

    Python gives a worker a pipe whose other end closes with its parent. A server of one process
    has no parent to follow: it outlives the shell, or the `potluck up`, that it was started from.

    Returns:
        What stops the following.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return lambda: None
    loop, sentinel = asyncio.get_running_loop(), parent.sentinel

    def is_gone() -> None:
        loop.remove_reader(sentinel)
        logger.error("the server's first process is gone; this worker answers what it has and ends")
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(sentinel, is_gone)

    def stop() -> None:
        loop.remove_reader(sentinel)

    return stop
