"""Ways in which a body is sent."""

import socket
import time
from collections.abc import Callable, Iterator

from benchmarks.hostile import Hostile

PIECE = 1 << 16
SLOWLY = 0.002
"""Seconds between two pieces of a body that is sent slowly."""
CHUNKS_OF_ONE = 200_000
CHUNKED = "transfer-encoding: chunked"
LAST_CHUNK = b"0\r\n\r\n"

Delivery = Callable[[socket.socket, Hostile], None]


def send_at_once(connection: socket.socket, hostile: Hostile) -> None:
    whole = head_with_length(hostile) + hostile.body
    connection.sendall(whole)


def send_in_chunks(connection: socket.socket, hostile: Hostile) -> None:
    connection.sendall(head(hostile, CHUNKED))
    for piece in pieces(hostile.body, PIECE):
        connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
    connection.sendall(LAST_CHUNK)


def send_byte_by_byte(connection: socket.socket, hostile: Hostile) -> None:
    """As many chunks of one byte as there may be, all sent at once."""
    chunks = [b"1\r\n%c\r\n" % byte for byte in hostile.body[:CHUNKS_OF_ONE]]
    whole = [head(hostile, CHUNKED), *chunks, LAST_CHUNK]
    connection.sendall(b"".join(whole))


def send_slowly(connection: socket.socket, hostile: Hostile) -> None:
    connection.sendall(head_with_length(hostile))
    for piece in pieces(hostile.body, PIECE):
        connection.sendall(piece)
        time.sleep(SLOWLY)


def head_with_length(hostile: Hostile) -> bytes:
    return head(hostile, f"content-length: {len(hostile.body)}")


def head(hostile: Hostile, length: str) -> bytes:
    lines = (f"POST {hostile.path} HTTP/1.1", "host: x", "connection: close", length)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def pieces(body: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


OTHERWISE: dict[str, Delivery] = {
    "in chunks": send_in_chunks,
    "in chunks of one byte": send_byte_by_byte,
    "slowly": send_slowly,
}
