"""A real nginx with the project's configuration, on a free port, in front of given servers."""

import contextlib
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tools import tool

CONFIGURATION = Path(__file__).resolve().parents[2] / "docker" / "nginx" / "potluck.conf"
PATIENCE_SECONDS = 20.0

Changes = Mapping[str, str]
NONE: Changes = {}
ERROR = {"error_code", "message", "details", "request_id"}
"""The fields of an error."""
ENDING = b"\r\nhost: x\r\nconnection: close\r\n\r\n"
"""Of a request's head, after its first line."""

MAIN = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/potluck.conf;
}}
"""


@dataclass(frozen=True)
class Nginx:
    """One that runs."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "certificate.pem"))

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=self.trust, timeout=30)

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        return self.trust.wrap_socket(plain, server_hostname="127.0.0.1")


@contextlib.contextmanager
def nginx(folder: Path, upstreams: Sequence[str], changes: Changes = NONE) -> Iterator[Nginx]:
    """Start it, and end it.

    Args:
        upstreams: host:port of each server.
        changes: old text -> new text of the configuration, besides ports and paths.
    """
    started = Nginx(folder, free_port())
    configure(started, upstreams, changes)
    command = [tool("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    tried = subprocess.run([*command, "-t"], capture_output=True, text=True, timeout=30)
    assert tried.returncode == 0, tried.stderr
    assert "[warn]" not in tried.stderr, tried.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_listens(started.port, process)
        yield started
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def configure(started: Nginx, upstreams: Sequence[str], changes: Changes) -> None:
    """Write its files: the project's configuration, changed, the frame around it, a certificate."""
    folder = started.folder
    write_certificate(folder)
    servers = " ".join(f"server {upstream};" for upstream in upstreams)
    here = {
        "server 127.0.0.1:8000;": servers,
        "listen 443 ssl": f"listen 127.0.0.1:{started.port} ssl",
        "/etc/ssl/potluck": str(folder),
        "/var/log/nginx": str(folder),
    }
    text = changed(CONFIGURATION.read_text(), {**here, **changes})
    (folder / "potluck.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(user=user, folder=folder))


def changed(text: str, changes: Changes) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def write_certificate(folder: Path) -> None:
    """One for two days, signed by itself."""
    names = "subjectAltName=DNS:potluck.example,IP:127.0.0.1"
    kind = [
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    about = ["-subj", "/CN=potluck.example", "-addext", names]
    command = [tool("openssl"), "req", *kind, *files, *about]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def wait_until_it_listens(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"nginx does not listen on {port}")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def check_error(answer: httpx.Response, status: int, code: str) -> None:
    """That it is an error in the form of the HTTP contract."""
    body = answer.json()
    assert (answer.status_code, body["error_code"]) == (status, code)
    assert set(body) == ERROR
    assert body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def address(stack: Any) -> str:
    return f"127.0.0.1:{stack.port}"


def raw_answer(proxy: Nginx, request: bytes) -> bytes:
    """Send bytes as they are; answers all that comes until the end of the connection."""
    with proxy.connect() as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))
