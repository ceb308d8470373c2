"""How long a server lets `/livez` wait, and how much its threads work meanwhile."""

import http.client
import time
from pathlib import Path
from threading import Event, Thread

from benchmarks.processes import Server

EVERY_SECONDS = 0.005


class Prober:
    """Asks /livez on a connection of its own, over and over, in a thread."""

    def __init__(self, server: Server) -> None:
        self.threads = Path(f"/proc/{server.process.pid}/task")
        port = server.port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.waits: list[float] = []
        self.work: list[float] = []
        self.ended = Event()
        self.thread = Thread(target=self.run)

    def __enter__(self) -> "Prober":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()
        self.connection.close()

    def run(self) -> None:
        while not self.ended.is_set():
            begun = time.perf_counter()
            worked = self.worked()
            self.connection.request("GET", "/livez")
            self.connection.getresponse().read()
            wait = time.perf_counter() - begun
            self.waits.append(wait)
            self.work.append(self.worked() - worked)
            time.sleep(max(0.0, EVERY_SECONDS - wait))

    def worked(self) -> float:
        """Processor time of the server's threads, in seconds."""
        total = sum(map(nanoseconds, self.threads.iterdir()))
        return total / 1e9

    @property
    def longest(self) -> tuple[float, float]:
        """The longest wait, and the most work during one, in ms."""
        wait, work = max(self.waits), max(self.work)
        return 1000 * wait, 1000 * work


def nanoseconds(thread: Path) -> int:
    """Processor time of a thread; none of one that has just ended."""
    try:
        numbers = (thread / "schedstat").read_text().split()
    except OSError:
        return 0
    return int(numbers[0])
