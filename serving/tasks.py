"""Work that no request's own task does: kept until it is done, and never failing without a word."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from potluck.contract.errors import RequestError

logger = logging.getLogger("potluck.serving")

UNFORESEEN = "the server failed at this request; its log says why"


class Tasks:
    """Tasks that are under way; the event loop itself holds them but weakly."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)


def answer_to(error: Exception) -> RequestError:
    """The error as an answer; what nobody foresaw goes to the log, and the caller learns no more than that."""
    if isinstance(error, RequestError):
        return error
    logger.error("a batch of requests failed", exc_info=error)
    return RequestError(UNFORESEEN)
