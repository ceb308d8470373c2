"""How long `/livez` waits while a body of at most 8 MiB is worked on, whatever the body holds.

    python -m benchmarks.livez [--home FOLDER] [--only TEXT] [--repeats 2] [--seconds 60]

One worker. While each hostile body is worked on, another connection asks `/livez` every 5 ms. The longest wait of a
body is the least of its repeats' longest: what the machine does besides can only lengthen it.
"""

import contextlib
import http.client
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread

import click

from benchmarks.fuzz.calls import Service, services_of
from benchmarks.fuzz.ground import IDS, filled_home, potluck_server
from benchmarks.home import stop_like_ctrl_c
from benchmarks.hostile import Hostile, for_batch, for_lookups, for_predict
from benchmarks.machine import PROJECT, Goal, goals_table, machine, table, write_result

EVERY_SECONDS = 0.005
MOST_MS = 100.0
QUIET_SECONDS = 1.0
SHOWN = 25
PIECE = 1 << 16
SLOWLY = 0.002
"""Seconds between two pieces of a body that is sent slowly."""
CHUNKS_OF_ONE = 200_000

Delivery = Callable[[socket.socket, Hostile], None]


@dataclass(frozen=True)
class Waited:
    """What one body came to."""

    name: str
    longest_ms: float
    """The least of the repeats' longest waits of /livez."""
    worst_ms: float
    """The longest of all."""
    status: int
    """0 where no answer came in time."""
    seconds: float
    """From its first byte to its answer."""


class Prober:
    """Asks /livez on a connection of its own, over and over, in a thread."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.waits: list[float] = []
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
            self.connection.request("GET", "/livez")
            self.connection.getresponse().read()
            self.waits.append(time.perf_counter() - begun)
            time.sleep(max(0.0, EVERY_SECONDS - self.waits[-1]))

    @property
    def longest_ms(self) -> float:
        return 1000 * max(self.waits)


def at_once(connection: socket.socket, hostile: Hostile) -> None:
    connection.sendall(head(hostile, f"content-length: {len(hostile.body)}") + hostile.body)


def in_chunks(connection: socket.socket, hostile: Hostile) -> None:
    connection.sendall(head(hostile, "transfer-encoding: chunked"))
    for piece in pieces(hostile.body, PIECE):
        connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    connection.sendall(b"0\r\n\r\n")


def in_chunks_of_one_byte(connection: socket.socket, hostile: Hostile) -> None:
    chunks = b"".join([b"1\r\n%c\r\n" % byte for byte in hostile.body[:CHUNKS_OF_ONE]])
    connection.sendall(head(hostile, "transfer-encoding: chunked") + chunks + b"0\r\n\r\n")


def slowly(connection: socket.socket, hostile: Hostile) -> None:
    connection.sendall(head(hostile, f"content-length: {len(hostile.body)}"))
    for piece in pieces(hostile.body, PIECE):
        connection.sendall(piece)
        time.sleep(SLOWLY)


def head(hostile: Hostile, length: str) -> bytes:
    lines = (f"POST {hostile.path} HTTP/1.1", "host: x", "connection: close", length)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


OTHERWISE: dict[str, Delivery] = {
    "in chunks": in_chunks,
    "in chunks of one byte": in_chunks_of_one_byte,
    "slowly": slowly,
}


def bodies(services: Sequence[Service]) -> Iterator[Hostile]:
    for service in services:
        if service.precomputed:
            yield from for_lookups(service.name, service.ids)
        else:
            texts = [field["name"] for field in service.fields if field["dtype"] == "string"]
            text = next(iter(texts), None)
            yield from for_predict(service.name, service.record(), text)
            yield from for_batch(service.name, service.record(), text)


def ask(port: int, hostile: Hostile, deliver: Delivery, patience: float) -> tuple[int, float, float]:
    """Send one body; answers its status, its seconds and the longest wait of /livez in ms."""
    with Prober(port) as prober:
        time.sleep(4 * EVERY_SECONDS)
        begun = time.perf_counter()
        status = status_of(port, hostile, deliver, patience)
        seconds = time.perf_counter() - begun
        time.sleep(4 * EVERY_SECONDS)  # what is freed after the answer is work too
    return status, seconds, prober.longest_ms


def status_of(port: int, hostile: Hostile, deliver: Delivery, patience: float) -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        with contextlib.suppress(ConnectionError):  # refused while it was still being sent
            deliver(connection, hostile)
        try:
            first = connection.recv(64)
        except OSError:
            return 0
        return int(first[9:12] or 0)


def measure(port: int, hostile: Hostile, name: str, deliver: Delivery, repeats: int, patience: float) -> Waited:
    runs = [ask(port, hostile, deliver, patience) for _ in range(repeats)]
    waits = [wait for _, _, wait in runs]
    status, seconds, _ = runs[-1]
    told = Waited(name, round(min(waits), 1), round(max(waits), 1), status, round(seconds, 3))
    print(f"{told.longest_ms:9.1f} ms  {told.status}  {told.name}", file=sys.stderr, flush=True)
    return told


def quiet(port: int) -> float:
    """The longest wait in ms while nothing else is asked."""
    with Prober(port) as prober:
        time.sleep(QUIET_SECONDS)
    return round(prober.longest_ms, 1)


@click.command()
@click.option("--home", type=click.Path(exists=True, path_type=Path), help="A filled one; else fresh.")
@click.option("--only", default="", help="Bodies whose name holds this text; not kept.")
@click.option("--repeats", type=click.IntRange(1, 20), default=2, show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="Longest that one answer is waited for.")
def main(home: Path | None, only: str, repeats: int, seconds: float) -> None:
    """Measure; ends with 1 if a body keeps /livez waiting for longer than 100 ms."""
    stop_like_ctrl_c()
    surroundings = machine()
    with filled_home(home) as filled, potluck_server(filled) as server:
        alone = quiet(server.port)
        found = list(waits(server.port, only, repeats, seconds))
    sys.exit(report(found, alone, surroundings, keep=not only))


def waits(port: int, only: str, repeats: int, patience: float) -> Iterator[Waited]:
    for hostile in bodies(services_of(port, IDS)):
        ways = {"": at_once, **(OTHERWISE if delivered_otherwise(hostile) else {})}
        for way, deliver in ways.items():
            name = f"{hostile.name}, {way}" if way else hostile.name
            if only in name:
                yield measure(port, hostile, name, deliver, repeats, patience)


def delivered_otherwise(hostile: Hostile) -> bool:
    return hostile.name.endswith((": zeros", "good rows after white space", ": unknown keys"))


def report(found: Sequence[Waited], alone: float, surroundings: dict[str, object], *, keep: bool) -> int:
    """Print and keep the waits; answers the exit code."""
    worst = sorted(found, key=lambda waited: -waited.longest_ms)
    goals = [Goal("longest wait of /livez, ms", worst[0].longest_ms if worst else 0.0, "<=", MOST_MS)]
    cells = [(w.name, f"{w.longest_ms}", f"{w.worst_ms}", str(w.status), f"{w.seconds}") for w in worst]
    print(table(("body", "longest wait ms", "of all repeats", "status", "seconds"), cells[:SHOWN]))
    print(f"\n{len(found)} bodies; nothing else asked: {alone} ms\n")
    print(goals_table(goals))
    if keep:
        figures = {"nothing_else_ms": alone, "bodies": [asdict(waited) for waited in found]}
        path = write_result("livez", surroundings, {"rows": "synthetic"}, figures, goals)
        print(f"\nwrote {path.relative_to(PROJECT)}")
    return 0 if all(goal.met for goal in goals) else 1


if __name__ == "__main__":
    main()
