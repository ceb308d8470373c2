"""Several workers on one port, which end as `serving.process.drain` says.

A worker imports this module before it can answer its supervisor, so it imports nothing of the
server.
"""

import multiprocessing.connection
import signal
import socket
import time

import uvicorn
from uvicorn.supervisors import multiprocess

from potluck.contract.settings import Settings

START_SECONDS = 60.0
"""Until its first answer a worker may take so long: to kill it in its start helps nobody."""
SLACK_SECONDS = 5.0
"""What a worker needs besides pause and drain: its first look at the signal, and the end of its
tasks."""


class Worker(multiprocess.Process):
    """One of several."""

    born = 0.0
    answered = False

    def start(self) -> None:
        self.born = time.monotonic()
        super().start()

    def is_alive(self, timeout: float = 5.0) -> bool:
        """As the supervisor asks, but on a busy machine the first answer takes its time."""
        alive = super().is_alive(timeout)
        self.answered = self.answered or alive
        if alive or self.answered or not self.process.is_alive():
            return alive
        return time.monotonic() - self.born < START_SECONDS

    @property
    def server(self) -> uvicorn.Server:
        from serving.process.drain import DrainingServer

        if self._server is None:
            self._server = DrainingServer(config=self.config)
        return self._server


class Workers(multiprocess.Multiprocess):
    """uvicorn's supervisor, whose workers end as above."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], settings: Settings
    ) -> None:
        multiprocess.Process = Worker  # type: ignore[misc] # by this name the supervisor makes them
        self.seconds = settings.drain_pause_seconds + settings.drain_seconds + SLACK_SECONDS
        self.told = 0
        """Signals to stop that have come."""
        super().__init__(config, sockets)

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()  # else the kernel would go on accepting callers whom nobody serves
        super().terminate_all()

    def join_all(self) -> None:
        """Wait for all, and kill who is late; all of them at a second signal."""
        deadline = time.monotonic() + self.seconds
        alive = [process.process.sentinel for process in self.processes]
        while alive and time.monotonic() < deadline and not self.told_again():
            ended = multiprocessing.connection.wait(alive, timeout=0.1)
            alive = [each for each in alive if each not in ended]
        for process in self.processes:
            process.process.kill()
        super().join_all()

    def handle_term(self) -> None:
        self.told += 1
        super().handle_term()

    def handle_int(self) -> None:
        self.told += 1
        super().handle_int()

    def told_again(self) -> bool:
        waiting = [number in (signal.SIGTERM, signal.SIGINT) for number in self.signal_queue]
        return self.told + sum(waiting) > 1
