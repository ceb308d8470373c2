"""What happens to Redis."""

import asyncio
from typing import Any

from benchmarks.faults.ground import AS_OF
from benchmarks.faults.redis_server import slow_proxy
from benchmarks.faults.stage import Stage

NEXT_DAY = "2026-06-02"
SLOW, TOO_SLOW = 0.1, 0.4
"""Seconds that each reply is held back: within POTLUCK_REDIS_TIMEOUT, and beyond it."""


async def killed(stage: Stage) -> None:
    async with stage.serving() as scene:
        scene.begin()
        stage.ground.redis.kill()
        await asyncio.sleep(stage.seconds)
        await asyncio.to_thread(stage.ground.redis.start)
        scene.end()


async def frozen(stage: Stage) -> None:
    async with stage.serving() as scene:
        scene.begin()
        with stage.ground.redis.frozen():
            await asyncio.sleep(stage.seconds)
        scene.end()


async def slow(stage: Stage) -> None:
    await held_back(stage, SLOW)


async def too_slow(stage: Stage) -> None:
    await held_back(stage, TOO_SLOW)


async def held_back(stage: Stage, pause: float) -> None:
    async with slow_proxy(stage.ground.redis.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        async with stage.serving(REDIS_URL=url) as scene:
            scene.begin()
            proxy.pause = pause
            await asyncio.sleep(stage.seconds)
            proxy.pause = 0.0
            scene.end()


async def emptied(stage: Stage) -> None:
    """The fault ends when `materialize` and `nightly` have filled it again."""
    async with stage.serving() as scene:
        scene.begin()
        stage.ground.redis.client.flushall()
        codes = exit_codes_text(await materialize_and_nightly(stage, AS_OF))
        scene.end()
        scene.notes.append(f"`materialize` and `nightly` fill it again (exit codes {codes})")


async def full(stage: Stage) -> None:
    """No room for a single write while the batch commands try."""
    client = stage.ground.redis.client
    async with stage.serving() as scene:
        client.config_set("maxmemory-policy", "noeviction")
        memory: Any = client.info("memory")
        client.config_set("maxmemory", memory["used_memory"])
        scene.begin()
        codes = await materialize_and_nightly(stage, NEXT_DAY)
        client.config_set("maxmemory", 0)
        scene.end()
        scene.notes.append(f"`materialize` and `nightly` end with {exit_codes_text(codes)}")


async def materialize_and_nightly(stage: Stage, as_of: str) -> list[int]:
    """Their exit codes."""
    materialized = await stage.ground.verb("materialize")
    return [materialized, await stage.ground.verb("nightly", "--as-of", as_of)]


def exit_codes_text(codes: list[int]) -> str:
    return " and ".join(map(str, codes))
