"""What happens to the home's disk, and to MLflow."""

import asyncio
import contextlib
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.faults.ground import AS_OF, version
from benchmarks.faults.stage import Scene, Stage
from benchmarks.processes import free_port

SMALL = "size=64k"
TAKE_UP_SECONDS = 10.0

Spoil = Callable[[Scene, Path], AbstractContextManager[None]]


async def disk_full(stage: Stage) -> None:
    await promote_where_nothing_can_be_written(stage, full_disk)


async def read_only(stage: Stage) -> None:
    await promote_where_nothing_can_be_written(stage, read_only_folder)


async def promote_where_nothing_can_be_written(stage: Stage, spoil: Spoil) -> None:
    """A version is promoted that has no receipt, and none can be written."""
    first, second = stage.ground.versions
    receipts = stage.ground.releases.receipts
    async with stage.serving() as scene:
        kept = receipts.with_name("receipts-kept")
        shutil.copytree(receipts, kept)
        shutil.rmtree(receipts)
        receipts.mkdir()
        scene.begin()
        with spoil(scene, receipts):
            stage.ground.releases.promote(second)
            meanwhile = await taken_up(scene, second.model_version)
        scene.end()
        done = "taken up" if meanwhile else "NOT taken up"
        scene.notes.append(f"the promoted version is {done} meanwhile")
        if not await taken_up(scene, second.model_version):
            scene.notes.append("and NOT afterwards")
        stage.ground.releases.promote(first)
        shutil.rmtree(receipts)
        kept.rename(receipts)


async def taken_up(scene: Scene, wanted: str) -> bool:
    """Whether the server answers with this version within a while."""
    begun = time.monotonic()
    while time.monotonic() - begun < TAKE_UP_SECONDS:
        if await version(scene.server.port) == wanted:
            return True
        await asyncio.sleep(0.1)
    return False


@contextmanager
def full_disk(scene: Scene, folder: Path) -> Iterator[None]:
    """A small disk that is full; where none may be mounted, a limit of the server's writes."""
    if not mounted(folder, SMALL):
        resource.prlimit(scene.server.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        yield
        return
    try:
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"\0" * 4096)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def read_only_folder(_scene: Scene, folder: Path) -> Iterator[None]:
    """A mount that takes no write; where none may be mounted, a folder without that right."""
    if not mounted(folder, f"{SMALL},ro"):
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def mounted(folder: Path, options: str) -> bool:
    """Whether a file system in memory could be mounted here."""
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True).returncode == 0


async def mlflow_away(stage: Stage) -> None:
    """The registry refuses every connection while a home asks it, and while the night is called."""
    gone = f"http://127.0.0.1:{free_port()}"
    quick = {"MLFLOW_TRACKING_URI": gone, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    async with stage.serving(**quick) as scene:
        scene.begin()
        pulled = await stage.ground.verb("pull", **quick)
        nightly = await stage.ground.verb("nightly", "--as-of", AS_OF, **quick)
        scene.end()
        scene.notes.append(f"`pull` ends with {pulled}, `nightly` with {nightly}")
