"""Workers that take long to start, as they do on a busy machine, are waited for."""

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from redis_servers import free_port

PATIENCE_SECONDS = 100
STARTS_SLOWLY = """
import sys, time
if "spawn_main" in " ".join(sys.orig_argv):
    time.sleep(8)  # longer than uvicorn waits for the answer of a worker
"""


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
        return True
    return False


def test_workers_that_start_slowly_are_not_killed_for_it(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(STARTS_SLOWLY)
    port, log = free_port(), tmp_path / "log"
    nowhere = {"POTLUCK_HOME": str(tmp_path / "home"), "REDIS_URL": "redis://127.0.0.1:9"}
    environment = {**os.environ, **nowhere, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "cli.main", "serve", "--port", str(port), "--workers", "2"]
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(f"http://127.0.0.1:{port}/livez"):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
    finally:
        server.terminate()
        server.wait(60)
    assert "died" not in log.read_text()
