"""What a server logs: one form, the request's id, and nothing that a request holds."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis_servers import free_port

PATIENCE_SECONDS = 90
SECRETS = ("271828.18", "314159", "sesame", "hunter2")

FAILS_AT_A_SECRET = """
import serving.services.predictor
import serving.services.precomputed
from cli.main import main

score = serving.services.predictor.Predictor.scored

def scored(self, batch, now):
    if "271828.18" in repr(batch):
        raise ValueError(f"can't do {batch}")
    return score(self, batch, now)

async def lookup(self, ids):
    raise KeyError(repr(ids))

serving.services.predictor.Predictor.scored = scored
serving.services.precomputed.PrecomputedService.lookup = lookup
main()
"""


@dataclass
class Server:
    """A server with a log of its own."""

    url: str
    log: Path
    client: httpx.Client

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]


@contextlib.contextmanager
def serving(
    stack: Any, folder: Path, *options: str, code: str | None = None, **variables: str
) -> Iterator[Server]:
    port, log = free_port(), folder / "log"
    start = ["-c", code] if code else ["-m", "cli.main"]
    command = [sys.executable, *start, "serve", "--port", str(port), *options]
    environment = {**stack.environment, **variables}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/readyz", process, log)
        with httpx.Client(timeout=30) as client:
            yield Server(f"http://127.0.0.1:{port}", log, client)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


JSON = {"POTLUCK_LOG_FORMAT": "json", "POTLUCK_LOG_LEVEL": "DEBUG", "POTLUCK_ACCESS_LOG": "true"}


def spoilt(row: dict[str, Any]) -> dict[str, Any]:
    """A row with a value that is told nowhere."""
    name = next(name for name, value in row.items() if isinstance(value, float))
    return {**row, name: 271828.18}


def test_every_line_is_json_tells_the_request_and_no_value_of_it(iris: Any, tmp_path: Path) -> None:
    row = iris.population()[0]
    hybrid, batch = iris.repo.hybrid, iris.repo.batch
    with serving(iris, tmp_path, code=FAILS_AT_A_SECRET, **JSON) as server:
        get, post = server.client.get, server.client.post
        probes = len([line for line in server.told() if line["logger"] == "potluck.access"])
        wrong = {"record": "sesame"}
        asked = [
            post(f"{server.url}/predict/{hybrid}", json=row),
            post(
                f"{server.url}/predict/{hybrid}",
                json=spoilt(row),
                headers={"x-request-id": "hot-1"},
            ),
            post(f"{server.url}/predict/{hybrid}?details=false", json=spoilt(row)),
            post(
                f"{server.url}/predict/{hybrid}/batch",
                json={"dataframe_records": [spoilt(row)]},
                headers={"x-request-id": "batch-1"},
            ),
            post(f"{server.url}/predict/{hybrid}", json=wrong),
            get(f"{server.url}/lookup/{batch}/314159", headers={"x-request-id": "lookup-1"}),
            get(f"{server.url}/nowhere/sesame?token=hunter2"),
            get(f"{server.url}/livez"),
        ]
        statuses = [answer.status_code for answer in asked]
        assert statuses == [200, 500, 500, 500, 422, 500, 404, 200]
        told = server.told()
    told = server.told()
    assert all({"time", "level", "logger", "message"} <= set(line) for line in told)
    assert "Uvicorn running on" in " ".join(line["message"] for line in told)

    failures = {line["request_id"]: line for line in told if line["level"] == "ERROR"}
    assert {"hot-1", "batch-1", "lookup-1"} <= set(failures)
    assert len(failures) == 4
    assert "ValueError" in failures["hot-1"]["trace"]
    assert "KeyError" in failures["lookup-1"]["trace"]
    text = server.log.read_text()
    assert [secret for secret in SECRETS if secret in text] == []

    access = [line for line in told if line["logger"] == "potluck.access"][probes:]
    assert len(access) == len(asked)
    ids = [answer.json().get("request_id") or answer.headers["x-request-id"] for answer in asked]
    assert [line["request_id"] for line in access] == ids
    assert [line["status"] for line in access] == statuses
    first, unknown = access[0], access[6]
    assert (first["method"], first["route"]) == ("POST", "/predict/{service}")
    assert first["service"] == hybrid
    assert first["milliseconds"] > 0
    assert (unknown["route"], unknown["service"]) == ("unknown", "")


def test_requests_that_fail_together_are_told_each_under_its_id(iris: Any, tmp_path: Path) -> None:
    row = json.dumps(spoilt(iris.population()[0]))
    head = f"POST /predict/{iris.repo.hybrid} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(row)}\r\n"
    with serving(iris, tmp_path, code=FAILS_AT_A_SECRET, POTLUCK_LOG_FORMAT="json") as server:
        import socket

        host, port = server.url.removeprefix("http://").split(":")
        both = [socket.create_connection((host, int(port))) for _ in range(2)]
        for number, one in enumerate(both):
            one.sendall(f"{head}x-request-id: together-{number}\r\n\r\n{row}".encode())
        for one in both:
            assert one.recv(65536).startswith(b"HTTP/1.1 500 ")
            one.close()
        failures = [line for line in server.told() if line["level"] == "ERROR"]
    assert {line["request_id"] for line in failures} == {"together-0", "together-1"}
    assert any("trace" in line for line in failures)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_of_any_number_of_workers_logs_json_only(
    iris: Any, tmp_path: Path, workers: str
) -> None:
    log = {"POTLUCK_LOG_FORMAT": "json", "POTLUCK_LOG_LEVEL": "DEBUG"}
    with serving(iris, tmp_path, "--workers", workers, **log) as server:
        assert server.client.get(f"{server.url}/livez").status_code == 200
    told = server.told()
    assert told
    assert {line["logger"] for line in told} >= {"uvicorn.error", "potluck.serving"}
    assert not [line for line in told if line["logger"] == "potluck.access"]


def test_a_server_that_can_not_start_says_so_in_the_same_form(iris: Any) -> None:
    environment = {**os.environ, **iris.environment, "POTLUCK_LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "cli.main", "serve", "--port", str(iris.port)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert str(iris.port) in json.loads(line)["message"]


def test_without_the_setting_it_is_text_with_the_request_id(iris: Any, tmp_path: Path) -> None:
    row = spoilt(iris.population()[0])
    with serving(iris, tmp_path, code=FAILS_AT_A_SECRET) as server:
        url = f"{server.url}/predict/{iris.repo.hybrid}"
        server.client.post(url, json=row, headers={"x-request-id": "abc"})
    (line,) = (line for line in server.lines() if "ERROR" in line)
    assert line.endswith("ERROR potluck.serving: the request failed request_id=abc")
    assert "potluck.access" not in server.log.read_text()


FAILS_AT_A_HEAD = """
from serving.http.hot import HotCalls
from cli.main import main

find = HotCalls.find

def failing(self, method, path, *others):
    if path == "/broken":
        raise ValueError("ours")
    return find(self, method, path, *others)

HotCalls.find = failing
main()
"""


def test_a_failure_of_ours_at_a_head_is_a_500_and_logged_once_with_its_id(
    iris: Any, tmp_path: Path
) -> None:
    with serving(iris, tmp_path, code=FAILS_AT_A_HEAD, POTLUCK_LOG_FORMAT="json") as server:
        answer = server.client.get(f"{server.url}/broken", headers={"x-request-id": "head-1"})
        assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL")
        assert answer.json()["request_id"] == answer.headers["x-request-id"] == "head-1"
    (failure,) = (line for line in server.told() if line["level"] == "ERROR")
    assert failure["request_id"] == "head-1"
    assert "ValueError" in failure["trace"]
