"""Micro-batching without waiting: what arrives in the same turn of the event loop is worked on as one batch."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class MicroBatch(Generic[Item, Result]):
    """Gathers items, and hands each its own result of the batch."""

    def __init__(self, work: Callable[[list[Item]], Awaitable[Sequence[Result]]], enough: int) -> None:
        """
        Args:
            work: items in, one result for each out; what it raises, everyone who asked in this batch gets.
            enough: so many items are a batch, though more may come.
        """
        self.work = work
        self.enough = enough
        self.waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.loop: asyncio.AbstractEventLoop | None = None

    def ask(self, item: Item) -> "asyncio.Future[Result]":
        """The future result of an item."""
        loop = self.loop = self.loop or asyncio.get_running_loop()  # which asks the kernel each time
        future: asyncio.Future[Result] = loop.create_future()
        if not self.waiting:
            loop.call_soon(self._look, loop, 0)
        self.waiting.append((item, future))
        return future

    def _look(self, loop: asyncio.AbstractEventLoop, before: int) -> None:
        """Begin when a turn brought nothing new, or enough has come."""
        count = len(self.waiting)
        if before < count < self.enough:
            loop.call_soon(self._look, loop, count)
        else:
            self._begin(loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self.waiting = self.waiting, []
        task = loop.create_task(self._answer(batch))
        self.tasks.add(task)  # the loop itself holds a task but weakly
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, batch: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        try:
            results = await self.work([item for item, _ in batch])
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
