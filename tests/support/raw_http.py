"""HTTP by hand, over a socket: requests that no client library would send."""

import json
import socket
from typing import Any


def post(path: str, body: bytes, *headers: str, version: str = "1.1", length: bool = True) -> bytes:
    lines = [f"POST {path} HTTP/{version}", "host: x", *headers]
    lines += [f"content-length: {len(body)}"] if length else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def get(path: str, *headers: str) -> bytes:
    return ("\r\n".join([f"GET {path} HTTP/1.1", "host: x", *headers]) + "\r\n\r\n").encode()


def chunked(body: bytes) -> bytes:
    return (
        b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:]))
        + b"0\r\n\r\n"
    )


def connect(port: int, *, receive_bytes: int = 0) -> socket.socket:
    """A connection to a server on this machine.

    Args:
        receive_bytes: how much the kernel keeps of what is not read; 0 leaves that to it.
    """
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.connect(("127.0.0.1", port))
    return client


def answer(client: socket.socket) -> tuple[int, dict[str, str], Any]:
    """The next answer of a connection: status, headers, JSON."""
    with client.makefile("rb", buffering=0) as stream:
        status = int(stream.readline().split()[1])
        headers = {}
        while (line := stream.readline().decode().strip()) != "":
            name, _, value = line.partition(": ")
            headers[name] = value
        body = b""
        while len(body) < int(headers["content-length"]):
            body += stream.read(int(headers["content-length"]) - len(body))
    return status, headers, json.loads(body)


def exchange(port: int, *parts: bytes) -> tuple[int, dict[str, str], Any]:
    """Send a request in these parts, on a connection of its own."""
    with connect(port) as client:
        for part in parts:
            client.sendall(part)
        return answer(client)


def refused(client: socket.socket) -> tuple[int, str]:
    """Status and error code of a last answer, after which the server closes."""
    status, headers, body = answer(client)
    assert headers["connection"] == "close"
    assert body["request_id"] == headers["x-request-id"]
    assert client.recv(1) == b""
    return status, body["error_code"]
