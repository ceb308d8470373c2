"""What the fuzzers stand on: a filled home, Potluck's server, and plain uvicorn beside it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.home import Data, Home, environment, fresh_home, lay_down, program, settings_of
from benchmarks.machine import PROJECT
from benchmarks.processes import Server, free_port, started

REPO = PROJECT / "tests" / "repos" / "everything"
"""Fields of every type, and text keys."""
SERVICES = ("everything_realtime", "everything_hybrid", "everything_pair")
ROWS = 400
IDS = (1, 2, 3, 10_000_000)
AS_OF = "2026-06-01"

PLAIN = """
import sys, uvicorn
uvicorn.run("serving.app:create_app", factory=True, host="127.0.0.1", port=int(sys.argv[1]),
            http="httptools", access_log=False, proxy_headers=False, log_level="error")
"""


@dataclass(frozen=True)
class Servers:
    """Potluck's server and the plain one; the process that answers on Potluck's port."""

    port: int
    pid: int
    peer_port: int


@contextmanager
def filled_home(home: Path | None = None) -> Iterator[Home]:
    """A home with services and a published night: the given one as it is, or a fresh one."""
    if home is None:
        with fresh_home(REPO) as fresh:
            lay_down(fresh, Data(None, ROWS, 0), SERVICES, parameters={})
            fresh.run("nightly", "--as-of", AS_OF)
            yield fresh
        return
    settings = settings_of(home, REPO)
    yield Home(settings, environment(settings, str(home)))


@contextmanager
def potluck_server(home: Home, *options: str) -> Iterator[Server]:
    """`potluck serve` on a free port, ready."""
    port = free_port()
    log = home.settings.home / "fuzzed.log"
    command = [program("potluck"), "serve", "--port", str(port), *options]
    with started(command, port, home.environment, log) as server:
        server.wait_ready("/readyz")
        yield server


@contextmanager
def servers_of(home: Home) -> Iterator[Servers]:
    """Both servers of a home, ready."""
    with potluck_server(home) as ours, plain_server(home) as peer:
        yield Servers(ours.port, ours.process.pid, peer.port)


@contextmanager
def plain_server(home: Home) -> Iterator[Server]:
    """uvicorn with its own protocol in front of the same application."""
    port = free_port()
    log = home.settings.home / "plain.log"
    command = [sys.executable, "-c", PLAIN, str(port)]
    with started(command, port, home.environment, log) as server:
        server.wait_ready("/readyz")
        yield server
