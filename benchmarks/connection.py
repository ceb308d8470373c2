"""A keep-alive connection with one request in flight, and requests as they go out.

With the standard library alone, as what loads a server must cost little.
"""

import json
import re
import socket
import time
from pathlib import Path

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RECEIVE_BYTES = 1 << 18
SILENCE_SECONDS = 60.0


class Connection:
    """A socket with one request in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SILENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(None)
        self.received = b""
        self.sent = 0

    def send(self, request: bytes) -> None:
        self.sent = time.perf_counter_ns()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The answer if it is whole by now.

        Raises:
            ConnectionError: the server hung up.
        """
        part = self.socket.recv(RECEIVE_BYTES)
        if not part:
            raise ConnectionError("the server closed the connection")
        answer = self.received + part if self.received else part
        if is_whole(answer):
            self.received = b""
            return answer
        self.received = answer
        return None


def is_whole(answer: bytes) -> bool:
    """Whether head and body have arrived; without a length, up to the last chunk."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = LENGTH.search(answer, 0, end)
    if length is None:
        return answer.endswith(b"\r\n0\r\n\r\n")
    return len(answer) >= end + 4 + int(length[1])


def request_bytes(port: int, method: str, path: str, body: str | None) -> bytes:
    """A request as it goes out: head and body in one piece."""
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    content = body.encode()
    head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def read_requests(path: Path, port: int) -> list[bytes]:
    """The requests of a JSON file `[[method, path, body], ...]`, each as it goes out."""
    return [request_bytes(port, *request) for request in json.loads(path.read_bytes())]
