"""One scenario: a fresh server under load, a fault with an end, and the time until all is well."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.ground import FaultGround
from benchmarks.faults.load import Load
from benchmarks.processes import Server, session_of

LEAD_SECONDS = 1.0
STEADY_SECONDS = 1.0
RECOVERY_SECONDS = 15.0


@dataclass
class Scene:
    """What happens on the stage, and when."""

    server: Server
    load: Load
    servers: ExitStack
    """Holds the servers until the load has stopped."""
    begun: float = 0.0
    ended: float = 0.0
    notes: list[str] = field(default_factory=list)
    """What is seen besides the answers."""

    def begin(self) -> None:
        self.begun = time.monotonic()

    def end(self) -> None:
        self.ended = time.monotonic()

    @property
    def workers(self) -> list[int]:
        """Process numbers of the workers of a server that has several."""
        pids = session_of(self.server.process.pid)
        return [pid for pid in pids if "spawn_main" in command(pid)]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


@dataclass
class Stage:
    """Where the scenarios are played, one after the other."""

    ground: FaultGround
    seconds: float
    """How long a fault lasts that has no length of its own."""
    played: list[Scene] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self, *options: str, **environment: str) -> AsyncIterator[Scene]:
        """A server under load, which goes on until all is well again, or for the patience."""
        with ExitStack() as servers:
            started = self.ground.server(*options, environment=environment)
            server = await asyncio.to_thread(servers.enter_context, started)
            load = Load(server.port, self.ground.asks, self.ground.known)
            running = asyncio.create_task(load.run())
            scene = Scene(server, load, servers)
            try:
                await asyncio.sleep(LEAD_SECONDS)
                yield scene
                await self.recovered(scene)
            finally:
                load.stopped = True
                await running
                await asyncio.to_thread(servers.close)
        self.played.append(scene)

    async def recovered(self, scene: Scene) -> None:
        """Wait until every request of a while is answered well."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            since = time.monotonic() - STEADY_SECONDS
            if since <= scene.ended:
                continue
            lately = [each for each in scene.load.asked if each.ended > since]
            if lately and all(each.good for each in lately):
                return
