"""Work that no request's own task does: kept until it is done, and never failing without a word."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from potluck.contract.errors import RequestError

logger = logging.getLogger("potluck.serving")

UNFORESEEN = "the server failed at this request; its log says why under the request id"


class UnforeseenFailure(RequestError):
    """What nobody foresaw, at a request or at a batch of them; its caller learns no more than
    that."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(UNFORESEEN)
        self.cause = cause
        self.told_under = ""
        """The first request whose answer it was."""


class Tasks:
    """Tasks that are under way; the event loop itself holds them but weakly."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)


def answer_to(error: Exception) -> RequestError:
    """The error as an answer; whoever gives it calls `logged` with the request's id."""
    return error if isinstance(error, RequestError) else UnforeseenFailure(error)


def logged(error: RequestError, request_id: str) -> RequestError:
    """Log what nobody foresaw under the id of the request that it answers; the trace once a
    batch."""
    if isinstance(error, UnforeseenFailure):
        extra = {"request_id": request_id}
        if error.told_under:
            logger.error("this request failed with request %s", error.told_under, extra=extra)
        else:
            error.told_under = request_id
            logger.error("the request failed", exc_info=error.cause, extra=extra)
    return error
