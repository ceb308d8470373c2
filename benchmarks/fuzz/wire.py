"""Byte streams against the server's protocol, and against plain uvicorn with the same application.

    python -m benchmarks.fuzz.wire [--cases 10000] [--seed 0] [--replay FILE] [--home PATH]

Both get the same streams. The answers must be the same ones; none is a 5xx, and none belongs to
another request. After each stream a new connection is served. At the end the server holds no more
memory and descriptors than when warm.
"""

import asyncio
import contextlib
import itertools
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from benchmarks.fuzz.answers import answers_of, differences, faults
from benchmarks.fuzz.calls import Call, calls_of, services_of
from benchmarks.fuzz.ground import IDS, Servers, filled_home, servers_of
from benchmarks.fuzz.held import Resources, growth
from benchmarks.fuzz.streams import Case, case, load, save
from benchmarks.home import stop_like_ctrl_c

AT_ONCE = 4
PATIENCE_SECONDS = 4.0
QUIET_SECONDS = 0.03
BETWEEN_PIECES = 0.001
PLAYS = 3
"""A case fails if it fails each time: what differs once was cut by the clock."""
WARM = 0.2
"""Share of the cases after which memory and descriptors are looked at first."""
ENOUGH_FAILURES = 30
FAILURES = Path("fuzz-failures")


@dataclass
class Player:
    """One connection: sends a stream, gathers what comes back."""

    port: int
    received: bytearray = field(default_factory=bytearray)
    closed: bool = False
    sent: bool = False
    last: float = 0.0

    async def play(self, pieces: Sequence[bytes]) -> None:
        """Send and receive until cancelled, or until the server closes."""
        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            connection.settimeout(0.0)  # not blocking: the loop waits for it
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connection, ("127.0.0.1", self.port))
            sending = asyncio.create_task(self.send(connection, pieces))
            try:
                await self.receive(connection)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def send(self, connection: socket.socket, pieces: Sequence[bytes]) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            for piece in pieces:
                await loop.sock_sendall(connection, piece)
                await asyncio.sleep(BETWEEN_PIECES)
        self.sent = True
        self.last = time.monotonic()

    async def receive(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while part := await loop.sock_recv(connection, 1 << 16):
                self.received += part
                self.last = time.monotonic()
        self.closed = True


@dataclass
class WireOutcome:
    """What came of a run."""

    played: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[Case, list[str]]] = field(default_factory=list)
    unsteady: int = 0
    """Cases that differed from the plain server once and not again."""


@dataclass
class WireFuzzer:
    """Plays cases against both servers."""

    port: int
    peer_port: int
    outcome: WireOutcome = field(default_factory=WireOutcome)

    async def run(self, cases: Iterator[Case]) -> None:
        """Play them, some at once: all take from the same iterator."""
        players = [self.play_each(cases) for _ in range(AT_ONCE)]
        await asyncio.gather(*players)

    async def play_each(self, cases: Iterator[Case]) -> None:
        for each in cases:
            if len(self.outcome.failures) >= ENOUGH_FAILURES:
                return
            found = await self.try_case(each)
            self.outcome.played[each.kind] += 1
            if found:
                self.outcome.failures.append((each, found))

    async def try_case(self, each: Case) -> list[str]:
        """What is wrong, if it is so at every play."""
        for number in range(PLAYS):
            found = await self.play(each)
            if not found:
                self.outcome.unsteady += number > 0
                return []
        return found

    async def play(self, each: Case) -> list[str]:
        """Play a case against both servers at once; answers what is wrong."""
        ours, theirs = Player(self.port), Player(self.peer_port)
        tasks = [
            asyncio.create_task(ours.play(each.pieces)),
            asyncio.create_task(theirs.play(each.peer or each.pieces)),
        ]
        await settled(ours, theirs)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        mine, plains = bytes(ours.received), bytes(theirs.received)
        found = faults(each, mine) + differences(each, mine, plains)
        return found + await probe(self.port, each.number)


async def settled(ours: Player, theirs: Player) -> None:
    """Wait until both have closed, or answered as much and are quiet; or for the patience."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if ours.closed and theirs.closed:
            return
        last = max(ours.last, theirs.last)
        quiet = time.monotonic() - last > QUIET_SECONDS
        if quiet and ours.sent and theirs.sent and alike(ours, theirs):
            return
        await asyncio.sleep(0.002)


def alike(ours: Player, theirs: Player) -> bool:
    """Whether both connections are open or closed after as many answers."""
    if ours.closed != theirs.closed:
        return False
    mine = answers_of(bytes(ours.received))
    plains = answers_of(bytes(theirs.received))
    return len(mine) == len(plains)


async def probe(port: int, number: int) -> list[str]:
    """See that a new connection is served: an answer to this request, with its id."""
    player, own = Player(port), f"probe-{number}"
    lines = ["GET /livez HTTP/1.1", "host: x", f"x-request-id: {own}", "connection: close"]
    request = "\r\n".join(lines) + "\r\n\r\n"
    try:
        await asyncio.wait_for(player.play([request.encode()]), PATIENCE_SECONDS)
    except (TimeoutError, OSError) as error:
        return [f"a new connection got no answer: {error!r}"]
    received = bytes(player.received)
    answered = [(answer.status, answer.request_id) for answer in answers_of(received)]
    if answered != [(200, own)]:
        return [f"a new connection was answered {received[:200]!r}"]
    return []


def fuzz_wire(
    servers: Servers,
    calls: Sequence[Call],
    *,
    cases: int,
    seed: int,
) -> tuple[WireOutcome, list[str]]:
    """Play so many cases; answers what came of it, and what grew meanwhile."""
    fuzzer = WireFuzzer(servers.port, servers.peer_port)
    warm = int(cases * WARM)
    all_cases = (case(seed, number, calls) for number in range(cases))
    asyncio.run(fuzzer.run(itertools.islice(all_cases, warm)))
    before = Resources.of(servers.pid)
    asyncio.run(fuzzer.run(all_cases))
    return fuzzer.outcome, growth(before, servers.pid)


def replay(servers: Servers, path: Path) -> WireOutcome:
    fuzzer = WireFuzzer(servers.port, servers.peer_port)
    asyncio.run(fuzzer.run(iter([load(path)])))
    return fuzzer.outcome


PATH = click.Path(exists=True, path_type=Path)


@click.command()
@click.option("--cases", type=click.IntRange(min=1), default=10_000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--replay", "file", type=PATH, help="A case that failed.")
@click.option("--home", type=PATH, help="A filled one; else fresh.")
def main(cases: int, seed: int, file: Path | None, home: Path | None) -> None:
    """Fuzz; ends with 1 if a case fails, or if memory or descriptors grow."""
    stop_like_ctrl_c()
    with filled_home(home) as filled, servers_of(filled) as servers:
        if file:
            outcome, grown = replay(servers, file), list[str]()
        else:
            calls = calls_of(services_of(servers.port, IDS))
            outcome, grown = fuzz_wire(servers, calls, cases=cases, seed=seed)
    sys.exit(report_wire(outcome, grown, seed=seed))


def report_wire(outcome: WireOutcome, grown: Sequence[str], *, seed: int) -> int:
    """Print what came of it; answers the exit code."""
    for each, reasons in outcome.failures:
        path = save(each, FAILURES)
        told = "; ".join(reasons)
        print(f"FAILED {each.kind} {each.number}: {told}")
        print(f"  --replay {path}")
    for line in grown:
        print(f"FAILED {line}")
    counts = [f"{name} {count}" for name, count in sorted(outcome.played.items())]
    kinds = ", ".join(counts)
    print(f"seed {seed}: {outcome.played.total()} streams ({kinds})")
    print(f"{len(outcome.failures)} failed, {outcome.unsteady} differed once and not again")
    return 1 if outcome.failures or grown else 0


if __name__ == "__main__":
    main()
