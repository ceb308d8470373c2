"""What arrives in one turn of the event loop is one batch."""

import asyncio

from serving.loop.microbatch import MicroBatch


def test_what_comes_in_one_turn_is_one_batch() -> None:
    async def run() -> list[list[int]]:
        batches: list[list[int]] = []
        together = MicroBatch(batches.append, enough=100)
        for number in range(10):
            together.add(number)
        while not batches:
            await asyncio.sleep(0)
        return batches

    assert asyncio.run(run()) == [list(range(10))]


def test_one_item_does_not_wait_for_others() -> None:
    async def run() -> list[list[int]]:
        batches: list[list[int]] = []
        together = MicroBatch(batches.append, enough=100)
        for number in range(3):
            together.add(number)
            for _ in range(3):
                await asyncio.sleep(0)
        return batches

    assert asyncio.run(run()) == [[0], [1], [2]]


def test_a_batch_grows_as_long_as_each_turn_brings_more() -> None:
    async def run() -> list[list[int]]:
        batches: list[list[int]] = []
        together = MicroBatch(batches.append, enough=100)
        for number in range(5):
            together.add(number)
            await asyncio.sleep(0)
        while not batches:
            await asyncio.sleep(0)
        return batches

    assert asyncio.run(run()) == [[0, 1, 2, 3, 4]]


def test_a_batch_that_is_large_enough_begins_though_more_may_come() -> None:
    async def run() -> list[list[int]]:
        batches: list[list[int]] = []
        together = MicroBatch(batches.append, enough=4)
        for number in range(40):
            together.add(number)
            await asyncio.sleep(0)
        for _ in range(40):  # turns enough for the last batch, whatever it waits for
            await asyncio.sleep(0)
        return batches

    batches = asyncio.run(run())
    assert len(batches) > 5
    assert all(len(batch) <= 6 for batch in batches)
    assert [number for batch in batches for number in batch] == list(range(40)), (
        "each once, in its order"
    )
