"""What arrives in one turn of the event loop is one batch, and everyone gets their own result."""

import asyncio
from collections.abc import Sequence

import pytest

from serving import microbatch
from serving.microbatch import MicroBatch


class Doubler:
    """Doubles numbers, and remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.together: MicroBatch[int, int] = MicroBatch(self.double)

    async def double(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        await asyncio.sleep(0)
        if 13 in numbers:
            raise ValueError("thirteen")
        return [2 * number for number in numbers]

    async def ask(self, number: int) -> int:
        return await self.together.ask(number)


def test_concurrent_items_are_one_batch_and_each_gets_its_own_result() -> None:
    async def run(doubler: Doubler) -> list[int]:
        return await asyncio.gather(*map(doubler.ask, range(10)))

    doubler = Doubler()
    assert asyncio.run(run(doubler)) == [2 * number for number in range(10)]
    assert doubler.batches == [list(range(10))]


def test_one_item_does_not_wait_for_others() -> None:
    async def run(doubler: Doubler) -> list[int]:
        return [await doubler.ask(number) for number in range(3)]

    doubler = Doubler()
    assert asyncio.run(run(doubler)) == [0, 2, 4]
    assert doubler.batches == [[0], [1], [2]]


def test_a_batch_that_is_large_enough_begins_though_more_may_come() -> None:
    async def keep_asking(doubler: Doubler) -> None:
        asked = []
        while not doubler.batches:
            asked.append(doubler.together.ask(1))
            await asyncio.sleep(0)
        await asyncio.gather(*asked)

    doubler = Doubler()
    asyncio.run(asyncio.wait_for(keep_asking(doubler), 10))
    assert len(doubler.batches[0]) == microbatch.ENOUGH


def test_a_failure_reaches_everyone_of_its_batch_and_no_other() -> None:
    async def run(doubler: Doubler) -> tuple[list[int | BaseException], int]:
        failed = await asyncio.gather(*map(doubler.ask, (1, 13)), return_exceptions=True)
        return failed, await doubler.ask(4)

    doubler = Doubler()
    failed, after = asyncio.run(run(doubler))
    assert [str(error) for error in failed] == ["thirteen", "thirteen"]
    assert after == 8


def test_who_gives_up_takes_nobody_along() -> None:
    async def run(doubler: Doubler) -> list[int]:
        gone, *others = [asyncio.create_task(doubler.ask(number)) for number in range(3)]
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await asyncio.gather(*others)

    assert asyncio.run(run(Doubler())) == [2, 4]
