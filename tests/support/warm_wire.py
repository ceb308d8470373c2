"""Values over the socket between a test and the warm process: a length, then JSON."""

import json
import socket
from typing import Any

LENGTH_BYTES = 4


def send_json(connection: socket.socket, value: Any) -> None:
    text = json.dumps(value).encode()
    connection.sendall(len(text).to_bytes(LENGTH_BYTES, "big") + text)


def read_json(connection: socket.socket) -> Any:
    length = int.from_bytes(read_exactly(connection, LENGTH_BYTES), "big")
    return json.loads(read_exactly(connection, length))


def read_exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = connection.recv(count - len(found))
        if not more:
            raise ConnectionError("the warm process is gone")
        found += more
    return found
