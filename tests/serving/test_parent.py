"""The workers of a server whose first process was killed end, and give the port back."""

import signal
import socket
import time
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 60


def workers_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in listed for child in thread.read_text().split()]


def is_free(port: int) -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return one.connect_ex(("127.0.0.1", port)) != 0


def test_workers_end_with_the_process_that_started_them(iris: Any) -> None:
    with iris.second_server("--workers", "2") as server:
        workers = workers_of(server.process.pid)
        assert len(workers) >= 2
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(10)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_free(server.port) or any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < deadline, "they go on without it"
            time.sleep(0.1)
    log = (iris.home / "server.log").read_text()
    assert "the server's first process is gone" in log


def test_a_server_of_one_process_outlives_its_parent(iris: Any) -> None:
    """As one does that was started from a shell, or by an `up` that was killed."""
    with iris.second_server() as server:
        time.sleep(1.5)
        assert server.get("/livez").status_code == 200
