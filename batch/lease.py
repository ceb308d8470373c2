"""A fencing lease: one process at a time may write a precomputed view, on whatever machine it runs.

The lease is a key in the online store that expires. A holder renews it while it works. Every switch
of the pointer is made by a script that looks at the lease first, so that a holder that lost it
without noticing changes nothing. The fencing token counts up with every holder.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from potluck.contract.errors import Locked, ServiceUnreachable
from potluck.contract.publication import publication_key
from potluck.redis.client import REDIS_ERRORS, RedisClient

LEASE_SECONDS = 30.0
RENEW_SECONDS = 5.0

# Lua scripts: Redis runs each as one step, so nobody can take the lease between look and write.
TAKE = """
local held = redis.call('GET', KEYS[1]) or ''
if held ~= ARGV[1] then return held end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return ARGV[2]
"""
RENEW = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
if not held and redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
"""
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
SWITCH = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'lease' end
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then return 'pointer' end
redis.call('SET', KEYS[2], ARGV[3])
return 'switched'
"""


@dataclass(frozen=True)
class Holder:
    """A process, described so that another process of the same host can tell whether it lives."""

    token: int
    host: str
    space: str
    """Boot and process-id namespace: a number means the same process only within one."""
    pid: int
    started: str
    """The kernel's start time of the process, as numbers are given out again."""
    since: str

    def describe(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"

    def is_dead(self) -> bool:
        """Say whether it ran on this host and is gone; False for a process of another host."""
        here = (self.host, self.space) == (socket.gethostname(), process_namespace())
        return here and start_time_of(self.pid) != self.started

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def this_process(token: int) -> Holder:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Holder(
        token,
        socket.gethostname(),
        process_namespace(),
        os.getpid(),
        start_time_of(os.getpid()),
        now,
    )


def process_namespace() -> str:
    """Name this boot of the host and its namespace of process ids; empty where /proc is missing."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        return ""
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    return f"{boot.read_text().strip()}:{namespace}"


def start_time_of(pid: int) -> str:
    """Read when a process of this host started, in the kernel's ticks.

    Returns:
        Empty where there is no such process, or where it is a zombie.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # The name stands in brackets, and may hold brackets and spaces itself.
    after_name = stat.rpartition(")")[2]
    state, *fields = after_name.split()
    return "" if state == "Z" else fields[18]


class Lease:
    """The lease of one view, held while the block runs."""

    def __init__(
        self,
        client: RedisClient,
        project: str,
        view: str,
        seconds: float = LEASE_SECONDS,
    ) -> None:
        self.client, self.view, self.seconds = client, view, seconds
        self.key = publication_key(project, view, "lease")
        self.counter = publication_key(project, view, "token")
        self.pointer = publication_key(project, view, "published")
        self.holder = this_process(0)
        self.held_until = 0.0
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        """
        Raises:
            Locked: somebody else holds it.
            ServiceUnreachable: the online store does not answer.
        """
        self.holder = this_process(int(self._ask(self.client.incr, self.counter)))
        # Read before Redis is asked: the key must not expire before this process believes it does.
        now = time.monotonic()
        self._take()
        self.held_until = now + self.seconds
        threading.Thread(target=self._renew_until_ended, name="lease", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.ended.set()
        try:
            self._run(RELEASE, [self.key], self.holder.to_json())
        except ServiceUnreachable:
            return  # it expires by itself

    @property
    def token(self) -> int:
        return self.holder.token

    def check(self) -> None:
        """
        Raises:
            Locked: the lease expired, as this process was stopped or cut off; another process may
                have taken it.
        """
        if time.monotonic() > self.held_until:
            raise Locked(
                f"this run lost its lease of {self.view}: it could not renew it for "
                f"{self.seconds:.0f} s; what is published stays; run `potluck nightly --resume`"
            )

    def switch(self, expected: bytes | None, pointer: bytes) -> None:
        """Replace the pointer, if the lease is still held and nobody else moved the pointer.

        Args:
            expected: the pointer's bytes as they were read; None where there was none.

        Raises:
            Locked: either does not hold; nothing was changed.
        """
        mine, keys = self.holder.to_json(), [self.key, self.pointer]
        found = self._run(SWITCH, keys, mine, expected or b"", pointer)
        if found == b"lease":
            raise Locked(f"another run took the lease of {self.view} over; what is published stays")
        if found == b"pointer":
            told = f"the pointer of {self.view} was moved by somebody without the lease"
            raise Locked(f"{told}; run it again")

    def _take(self) -> None:
        mine, milliseconds = self.holder.to_json(), int(self.seconds * 1000)
        held = self._run(TAKE, [self.key], b"", mine, milliseconds)
        other = read_holder(held)
        if held != mine and other is not None and other.is_dead():
            # Taken over from this very holder: if somebody else was faster, that one holds it now.
            held = self._run(TAKE, [self.key], held, mine, milliseconds)
            other = read_holder(held)
        if held != mine:
            who = other.describe() if other else "somebody"
            raise Locked(
                f"another nightly run of {self.view} is at work ({who}); let it finish; "
                f"should it have died, its lease runs out within {self.seconds:.0f} s"
            )

    def _renew_until_ended(self) -> None:
        while not self.ended.wait(min(RENEW_SECONDS, self.seconds / 3)):
            now = time.monotonic()
            mine, token = self.holder.to_json(), str(self.token).encode()
            milliseconds = int(self.seconds * 1000)
            try:
                renewed = self._run(RENEW, [self.key, self.counter], mine, token, milliseconds)
            except ServiceUnreachable:
                continue  # check() says so once it ran out
            if not renewed:
                self.held_until = 0.0
                return
            self.held_until = now + self.seconds

    def _run(self, script: str, keys: list[str], *arguments: bytes | int) -> Any:
        return self._ask(self.client.eval, script, len(keys), *keys, *arguments)

    def _ask(self, command: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return command(*arguments)
        except REDIS_ERRORS as error:
            raise ServiceUnreachable(
                f"the online store does not answer: {error}; run `potluck nightly` again"
            ) from None


def read_holder(held: bytes) -> Holder | None:
    try:
        return Holder(**json.loads(held))
    except (ValueError, TypeError):
        return None
