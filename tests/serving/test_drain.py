"""SIGTERM ends the server in its time whatever callers do, and no request that came whole goes
without an answer."""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from raw_http import answer, connect, get, post

SLACK = 15.0
"""Seconds that a busy machine may take besides."""


@pytest.fixture
def serving(iris: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A server of its own, with these settings."""

    @contextmanager
    def start(*options: str, **settings: str) -> Iterator[Any]:
        named = {f"POTLUCK_{name.upper()}": value for name, value in settings.items()}
        monkeypatch.setattr(type(iris), "environment", {**iris.environment, **named})
        with iris.second_server(*options) as server:
            server.client.close()  # an open connection would be waited for
            yield server

    return start


def ended(server: Any, seconds: float) -> int:
    """The exit code of a server that ends within so many seconds."""
    try:
        return int(server.process.wait(seconds + SLACK))
    except subprocess.TimeoutExpired:
        server.process.kill()
        pytest.fail(f"the server did not end within {seconds:g} s")


def drip(client: socket.socket, stopped: threading.Event) -> None:
    while not stopped.wait(0.1):
        try:
            client.sendall(b" ")
        except OSError:
            return


@pytest.mark.parametrize("workers", ["1", "2"])
def test_half_bodies_do_not_hold_the_servers_end_up(serving: Any, workers: str) -> None:
    with serving("--workers", workers, drain_seconds="2") as server:
        path = f"/predict/{server.repo.hybrid}"
        halves = [
            post(path, b"", "content-length: 5000", length=False),
            post(f"{path}/batch", b"", "content-length: 5000", length=False),
            post(path, b"1000\r\n", "transfer-encoding: chunked", length=False),
        ]
        callers = [connect(server.port) for _ in range(2 * len(halves))]
        stopped = threading.Event()
        for number, caller in enumerate(callers):
            caller.sendall(halves[number % len(halves)])
            if number < len(halves):
                threading.Thread(target=drip, args=(caller, stopped), daemon=True).start()
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        assert ended(server, 2) == 0
        stopped.set()
        for caller in callers:
            caller.close()


def test_callers_who_send_nothing_are_not_waited_for(serving: Any) -> None:
    with serving(drain_seconds="60") as server:
        idle, half = connect(server.port), connect(server.port)
        idle.sendall(get("/livez"))
        assert answer(idle)[0] == 200
        half.sendall(post(f"/predict/{server.repo.hybrid}", b"{}")[:-1])
        server.process.send_signal(signal.SIGTERM)
        assert ended(server, 5) == 0
        assert idle.recv(1) == b""
        idle.close()
        half.close()


def test_a_second_signal_ends_it_at_once(serving: Any) -> None:
    for workers in ("1", "2"):
        with serving(
            "--workers", workers, drain_seconds="600", drain_pause_seconds="600"
        ) as server:
            server.process.send_signal(signal.SIGTERM)
            time.sleep(1.5)
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)
            ended(server, 2)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_says_that_it_is_not_ready_before_it_stops_listening(serving: Any, workers: str) -> None:
    with serving("--workers", workers, drain_pause_seconds="3") as server:
        row = json.dumps({"flower_id": 1, "petal_length": 1.0}).encode()
        server.process.send_signal(signal.SIGTERM)
        seen, answered = [], []
        while (code := ready(server.port)) is not None:
            seen.append(code)
            if code == 503:
                answered.append(predicts(server, row))
            time.sleep(0.05)
        assert 503 in seen
        listened = answered[:-1]  # it may stop listening just before the last one
        assert listened
        assert set(listened) <= {200, 422}
        assert 200 not in seen[seen.index(503) :] or workers == "2"
        assert ended(server, 2) == 0


def ready(port: int) -> int | None:
    return status(port, get("/readyz"))


def predicts(server: Any, row: bytes) -> int | None:
    return status(server.port, post(f"/predict/{server.repo.hybrid}", row))


def status(port: int, request: bytes) -> int | None:
    """Of the answer; None where nobody listens any more."""
    try:
        with connect(port) as client:
            client.sendall(request)
            return answer(client)[0]
    except (ConnectionRefusedError, ConnectionResetError, TimeoutError):
        return None


class Caller(threading.Thread):
    """Sends a request, reads the answer, and so on, over one connection as long as that may be."""

    def __init__(
        self, port: int, requests: list[bytes], *, pause: float = 0.0, anew: bool = False
    ) -> None:
        super().__init__(daemon=True)
        self.port, self.requests, self.pause, self.anew = port, requests, pause, anew
        self.answered, self.cut = 0, ""

    def run(self) -> None:
        while True:
            try:
                client = connect(self.port)
            except OSError:
                return  # nobody listens any more
            with client:
                if not self.talk(client):
                    return

    def talk(self, client: socket.socket) -> bool:
        """Until the server says that it closes; answers whether all went well."""
        for number in range(10**9):
            try:
                client.sendall(b"".join(self.requests))
                told = [answer(client) for _ in self.requests]
            except (OSError, IndexError, ValueError) as error:
                self.cut = f"request {number} of a connection: {type(error).__name__} {error}"
                return False
            if {status for status, _, _ in told} != {200}:
                self.cut = str(told)
                return False
            self.answered += len(told)
            if self.anew or told[-1][1].get("connection") == "close":
                return True
            time.sleep(self.pause)
        return True


@pytest.mark.parametrize("workers", ["1", "2"])
def test_no_request_is_cut_when_it_stops_under_load(serving: Any, iris: Any, workers: str) -> None:
    record = json.dumps(iris.population()[0]).encode()
    with serving("--workers", workers) as server:
        path = f"/predict/{server.repo.hybrid}"
        hot, batch = (
            post(path, record),
            post(f"{path}/batch", b'{"dataframe_records": [%b]}' % record),
        )
        callers = [
            *(Caller(server.port, [hot]) for _ in range(4)),
            *(Caller(server.port, [hot], pause=0.05) for _ in range(4)),
            *(Caller(server.port, [batch]) for _ in range(2)),
            *(Caller(server.port, [hot, batch, get("/livez"), hot, hot]) for _ in range(2)),
            *(Caller(server.port, [hot], anew=True) for _ in range(2)),
        ]
        for caller in callers:
            caller.start()
        time.sleep(1.0)
        server.process.send_signal(signal.SIGTERM)
        assert ended(server, 20) == 0
        for caller in callers:
            caller.join(10)
        assert [caller.cut for caller in callers if caller.cut] == []
        assert all(caller.answered for caller in callers)
