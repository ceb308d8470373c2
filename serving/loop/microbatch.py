"""Micro-batching without waiting: what arrives in the same turn of the event loop is worked on as
one batch."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class MicroBatch(Generic[Item]):
    """Gathers items until a turn of the event loop brings no more."""

    def __init__(self, work: Callable[[list[Item]], None], enough: int) -> None:
        """
        Args:
            work: called with each batch; must not raise.
            enough: so many items are a batch, though more may come.
        """
        self.work = work
        self.enough = enough
        self.waiting: list[Item] = []
        self.loop: asyncio.AbstractEventLoop | None = None

    def add(self, item: Item) -> None:
        """Have an item worked on."""
        if not self.waiting:
            self.loop = self.loop or asyncio.get_running_loop()  # which asks the kernel each time
            self.loop.call_soon(self._look, self.loop, 0)
        self.waiting.append(item)

    def _look(self, loop: asyncio.AbstractEventLoop, before: int) -> None:
        count = len(self.waiting)
        if before < count < self.enough:
            loop.call_soon(self._look, loop, count)
        else:
            batch, self.waiting = self.waiting, []
            self.work(batch)
