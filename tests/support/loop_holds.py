"""A server that writes down how long the steps of its event loop take: in CPU seconds, whatever else is running."""

from pathlib import Path
from typing import Any

SERVER = """
import asyncio, sys, time
sys.modules["uvloop"] = None  # its handles can't be timed
run = asyncio.Handle._run

def timed(handle):
    started = time.thread_time()
    run(handle)
    spent = time.thread_time() - started
    if spent > 0.01:
        with open("holds.txt", "a") as file:
            file.write(f"{spent}\\n")

asyncio.Handle._run = timed
from cli.main import main
main()
"""


class Holds:
    """What the server of a home wrote down since the last look."""

    def __init__(self, home: Path) -> None:
        self.path = home / "holds.txt"
        self.path.touch()
        self.read = len(self.path.read_text())

    def longest(self) -> float:
        """Seconds of the longest step since the last look; 0 if all were short."""
        text = self.path.read_text()
        new, self.read = text[self.read :], len(text)
        return max(map(float, new.split()), default=0.0)


def memory_of(server: Any, name: str = "VmRSS") -> int:
    """MiB that the server's process holds; `VmHWM` is the most that it ever held."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    (found,) = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found) // 1024
