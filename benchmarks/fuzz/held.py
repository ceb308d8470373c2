"""What a server process holds: memory and descriptors."""

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import memory_of

MOST_MB = 15.0
MOST_DESCRIPTORS = 4
SETTLE_SECONDS = 6.0  # as long as an idle connection may live


@dataclass(frozen=True)
class Resources:
    """Resident memory in MB of 10^6 bytes, and open descriptors."""

    memory: float
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> "Resources":
        """A process's, now."""
        descriptors = Path(f"/proc/{pid}/fd").iterdir()
        return cls(memory_of(pid).settled, len(list(descriptors)))


def growth(before: Resources, pid: int) -> list[str]:
    """What grew by more than noise; waits a while for connections to be given up."""
    deadline = time.monotonic() + SETTLE_SECONDS
    now = Resources.of(pid)
    while excess(before, now) and time.monotonic() < deadline:
        time.sleep(0.1)
        now = Resources.of(pid)
    memory = f"memory {before.memory:.1f} -> {now.memory:.1f} MB"
    descriptors = f"descriptors {before.descriptors} -> {now.descriptors}"
    print(f"{memory}, {descriptors}")
    return excess(before, now)


def excess(before: Resources, now: Resources) -> list[str]:
    """What grew by more than noise, in words."""
    found = []
    if now.memory - before.memory > MOST_MB:
        found.append(f"memory grew from {before.memory:.1f} to {now.memory:.1f} MB")
    if now.descriptors - before.descriptors > MOST_DESCRIPTORS:
        found.append(f"open descriptors grew from {before.descriptors} to {now.descriptors}")
    return found
