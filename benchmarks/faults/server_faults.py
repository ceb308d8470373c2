"""What happens to the server and to its workers."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from benchmarks.faults.ground import HYBRID_SERVICE
from benchmarks.faults.load import Asked
from benchmarks.faults.stage import Scene, Stage
from benchmarks.hostile import LARGEST_BATCH, VALUES, batch

TWO = ("--workers", "2")
LONGEST_STOP = 30.0
LONGEST_ANSWER = 40.0
WORKER_SECONDS = 8.0
"""A worker that gives no sign of life is replaced after 5 s."""
SWAP_EVERY = 0.5
LOOK_SECONDS = 0.1


async def worker_killed(stage: Stage) -> None:
    async with stage.serving(*TWO) as scene:
        before = busiest_first(scene.workers)
        scene.begin()
        os.kill(before[0], signal.SIGKILL)
        while not await another(scene, before):
            await asyncio.sleep(LOOK_SECONDS)
        scene.end()
        seconds = scene.ended - scene.begun
        scene.notes.append(f"another one is started {seconds:.1f} s later")


async def worker_frozen(stage: Stage) -> None:
    async with stage.serving(*TWO) as scene:
        before = busiest_first(scene.workers)
        scene.begin()
        os.kill(before[0], signal.SIGSTOP)
        await replaced(scene, before)
        scene.end()


def busiest_first(workers: list[int]) -> list[int]:
    """By how many connections they hold: which worker takes one is chance."""
    return sorted(workers, key=open_descriptors, reverse=True)


def open_descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def another(scene: Scene, before: list[int]) -> bool:
    """Whether a new worker is there; looked for in a thread, as the load must not wait for it."""
    now = await asyncio.to_thread(lambda: scene.workers)
    return bool(set(now) - set(before))


async def replaced(scene: Scene, before: list[int]) -> None:
    """Wait for another worker; a frozen one that is still there goes on after a while."""
    deadline = time.monotonic() + WORKER_SECONDS
    while time.monotonic() < deadline:
        if await another(scene, before):
            seconds = time.monotonic() - scene.begun
            scene.notes.append(f"replaced after {seconds:.1f} s")
            return
        await asyncio.sleep(LOOK_SECONDS)
    os.kill(before[0], signal.SIGCONT)
    scene.notes.append(f"not replaced within {WORKER_SECONDS:.0f} s, and woken")


async def stopped(stage: Stage) -> None:
    await stop_and_start(stage)


async def stopped_with_two_workers(stage: Stage) -> None:
    await stop_and_start(stage, *TWO)


async def stop_and_start(stage: Stage, *options: str) -> None:
    """SIGTERM; when the server has ended, another one takes its port."""
    async with stage.serving(*options) as scene:
        scene.begin()
        await stop_server(scene)
        await start_again(stage, scene, *options)
        scene.end()
        cut = sum(was_cut(each, scene.begun) for each in scene.load.asked)
        scene.notes.append(f"{cut} requests cut")


async def start_again(stage: Stage, scene: Scene, *options: str) -> None:
    """Another server on the same port; in a thread, as the load must not wait for it."""
    again = stage.ground.server(*options, port=scene.server.port)
    await asyncio.to_thread(scene.servers.enter_context, again)


async def stop_server(scene: Scene) -> None:
    """Ask the server to end, and insist after a while."""
    process = scene.server.process
    process.terminate()
    try:
        code = await asyncio.to_thread(process.wait, LONGEST_STOP)
        seconds = time.monotonic() - scene.begun
        scene.notes.append(f"ended after {seconds:.1f} s with exit code {code}")
    except subprocess.TimeoutExpired:
        process.kill()
        scene.notes.append(f"NOT ended within {LONGEST_STOP:.0f} s")


def was_cut(asked: Asked, since: float) -> bool:
    """Whether a request went out over an open connection and was never answered."""
    return asked.ended > since and asked.sent and not asked.status


async def stopped_with_half_a_body(stage: Stage) -> None:
    """SIGTERM while somebody has sent half a request and waits."""
    half = post_head(f"/predict/{HYBRID_SERVICE}", 100_000) + b"{" * 70_000
    async with stage.serving() as scene:
        with socket.create_connection(("127.0.0.1", scene.server.port)) as client:
            client.sendall(half)
            await asyncio.sleep(0.2)
            scene.begin()
            await stop_server(scene)
        await start_again(stage, scene)
        scene.end()


def post_head(path: str, length: int) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {length}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def swapped(stage: Stage) -> None:
    """Another champion twice a second, there and back."""
    swaps = 2 * int(stage.seconds / SWAP_EVERY / 2)
    first, second = stage.ground.versions
    async with stage.serving() as scene:
        scene.begin()
        for number in range(swaps):
            release = first if number % 2 else second
            stage.ground.releases.promote(release)
            await asyncio.sleep(SWAP_EVERY)
        scene.end()
        scene.notes.append(f"{swaps} promotions; every answer is that of the version it names")


async def hostile(stage: Stage) -> None:
    """The largest body that is read, of 4 million rows that are none."""
    body = batch("dataframe_records", VALUES["zeros"](LARGEST_BATCH - 32))
    async with stage.serving() as scene:
        scene.begin()
        status = await post_for_status(scene.server.port, f"/predict/{HYBRID_SERVICE}/batch", body)
        scene.end()
        seconds = scene.ended - scene.begun
        scene.notes.append(f"the body itself is answered {status} after {seconds:.1f} s")


async def post_for_status(port: int, path: str, body: bytes) -> int:
    """Send a body; answers the status, or 0 where none came in time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(post_head(path, len(body)) + body)
        first = await asyncio.wait_for(reader.readline(), LONGEST_ANSWER)
        return int(first.split()[1])
    except (TimeoutError, OSError):
        return 0
    finally:
        writer.close()
