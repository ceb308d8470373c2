"""What `potluck up` keeps going.

The server, MLflow's pages or the watcher of a registry that lies elsewhere, the nightly run's
schedule, and the home's own Redis. Each is started again when it ends; the others go on.
"""

import logging
import signal
import sys
import time
from functools import partial
from types import FrameType

from cli.stack.listen_address import check_address
from cli.stack.running import (
    LOOK_SECONDS,
    end_left_behind,
    hold_pid_file,
    states_file,
    stop_seconds,
)
from cli.stack.supervised import ProcessEnd, SupervisedProcess, write_states
from potluck.contract.errors import PotluckError
from potluck.contract.processes import end_all, marked
from potluck.contract.settings import Settings
from potluck.redis.embedded import ensure_redis, has_ended

logger = logging.getLogger("potluck.up")

REDIS_LOOK_SECONDS = 2.0
PULL_SECONDS = 10
SERVER, PAGES = "server", "mlflow"
SERVER_ATTEMPTS = 5
"""Starts of the server that fail in a row before `up` gives up: one more would mend nothing."""


class Supervisor:
    """Runs the processes of one home."""

    def __init__(self, settings: Settings, host: str, port: int, workers: int) -> None:
        self.settings, self.host = settings, host
        self.stop_seconds = stop_seconds(settings)
        wanted = commands(settings, host, port, workers)
        self.processes = [
            SupervisedProcess(name, command, settings.home, log_output=name == PAGES)
            for name, command in wanted.items()
        ]
        self.ports = [port, port + 1] if PAGES in wanted else [port]
        self.redis_looked_at = 0.0
        self.stopping = False

    def run(self) -> int:
        """Block until stopped.

        Returns:
            The exit code.

        Raises:
            Locked: the home is up already.
            PotluckError: a port is taken.
        """
        with hold_pid_file(self.settings):
            # First, as they may hold the ports.
            end_left_behind(self.settings)
            for port in self.ports:
                check_address(self.host, port)
            self.handle_signals()
            try:
                return self.watch()
            finally:
                self.end()

    def handle_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        # Under `nohup` it is ignored, and has to stay so.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.stop)

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def watch(self) -> int:
        while not self.stopping:
            if self.look(time.monotonic()):
                write_states(states_file(self.settings), self.processes)
            if self.server_keeps_failing():
                message = "the server ended %d times in a row; see above why; stopping the rest"
                logger.error(message, SERVER_ATTEMPTS)
                return 1
            self.look_after_redis(time.monotonic())
            time.sleep(LOOK_SECONDS)
        return 0

    def server_keeps_failing(self) -> bool:
        servers = [process for process in self.processes if process.name == SERVER]
        return any(server.failures >= SERVER_ATTEMPTS for server in servers)

    def look(self, now: float) -> bool:
        """Log who ended and start who is due.

        Returns:
            Whether anything changed.
        """
        changed = False
        for process in self.processes:
            end = process.poll_end(now)
            if end is not None:
                changed = True
                self.log_end(process.name, end)
                # Its children may live on, and hold its port.
                end_all(partial(marked, self.settings.home, process.name), self.stop_seconds)
        for process in self.processes:
            if process.is_due(now):
                changed = True
                process.start(now)
        return changed

    def log_end(self, name: str, end: ProcessEnd) -> None:
        again = f"starting it again in {end.pause:g} s"
        logger.error("%s ended with exit code %d; %s, the rest goes on", name, end.exit_code, again)

    def look_after_redis(self, now: float) -> None:
        """Start the home's Redis again if it is gone: no other command may come along that does."""
        if now - self.redis_looked_at < REDIS_LOOK_SECONDS:
            return
        self.redis_looked_at = now
        try:
            if has_ended(self.settings):
                logger.error("the home's redis-server ended; starting it again")
                ensure_redis(self.settings)
        except (PotluckError, OSError) as error:
            logger.error("the home's redis-server can't be started: %s", error)

    def end(self) -> None:
        """Ask every process to stop, and kill after a while; what they left behind ends too."""
        for process in self.processes:
            process.terminate()
        deadline = time.monotonic() + self.stop_seconds
        for process in self.processes:
            process.wait_or_kill(deadline - time.monotonic())
        end_all(partial(marked, self.settings.home), self.stop_seconds)
        states_file(self.settings).unlink(missing_ok=True)


def commands(settings: Settings, host: str, port: int, workers: int) -> dict[str, list[str]]:
    """The command of each process, by its name."""
    verb = [sys.executable, "-m", "cli.main"]
    listen = ["--host", host, "--port", str(port), "--workers", str(workers)]
    found = {SERVER: [*verb, "serve", *listen]}
    if settings.tracking_uri == settings.local_tracking_uri:
        mlflow = [sys.executable, "-m", "mlflow", "server", "--host", host]
        database = ["--backend-store-uri", settings.tracking_uri]
        found[PAGES] = [*mlflow, "--port", str(port + 1), "--workers", "1", *database]
    else:
        found["watcher"] = [*verb, "pull", "--every", str(PULL_SECONDS)]
    if settings.nightly_cron:
        found["nightly"] = [*verb, "schedule", "--cron", settings.nightly_cron]
    return found
