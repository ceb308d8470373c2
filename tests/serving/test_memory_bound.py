"""Fifty batches of 8 MB at once stay below the declared bound of a worker's memory, and leave
nothing behind."""

import json
import threading
import time
from pathlib import Path
from typing import Any

from raw_http import answer, connect, post

CALLERS = 50
FEW_FIELDS = 12
"""One caller of so many sends rows of 450 fields, which take long to refuse."""
MB = 1 << 20
DECLARED = 512 * MB
"""What docs/operations.md says that large bodies take of one worker, with the default of
POTLUCK_MAX_BODY_BYTES."""
LEFT = 60 * MB


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def batch(keys: list[Any], fields: int) -> bytes:
    """A body of 8 MiB: long texts, or many fields."""
    extra = {f"field_{number:03}": number for number in range(fields)} or {"note": "x" * 8000}
    rows = [{"flower_id": key, **extra} for key in keys]
    return json.dumps({"dataframe_records": rows}).encode().ljust(8 * MB)


def test_large_batches_at_once_stay_below_the_bound(iris: Any) -> None:
    with iris.second_server() as server:
        keys = [row["flower_id"] for row in server.population()]
        thousand = [keys[number % len(keys)] for number in range(1000)]
        path = f"/predict/{server.repo.hybrid}/batch"
        requests = [post(path, batch(thousand, fields)) for fields in (0, 450)]
        before = resident(server.process.pid)
        seen: list[int] = []

        def ask(request: bytes) -> None:
            with connect(server.port) as client:
                client.settimeout(300)
                client.sendall(request)
                seen.append(answer(client)[0])

        callers = [
            threading.Thread(target=ask, args=[requests[number % FEW_FIELDS == 0]])
            for number in range(CALLERS)
        ]
        for caller in callers:
            caller.start()
        most = before
        while any(caller.is_alive() for caller in callers):
            most = max(most, resident(server.process.pid))
            time.sleep(0.02)
        assert len(seen) == CALLERS
        assert set(seen) <= {200, 429}
        assert 200 in seen
        assert most < before + DECLARED
        deadline = time.monotonic() + 30
        while resident(server.process.pid) > before + LEFT:
            assert time.monotonic() < deadline
            time.sleep(0.5)
