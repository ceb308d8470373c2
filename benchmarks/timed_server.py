"""The server with a clock around some of its functions; for `microseconds`.

    python -m benchmarks.timed_server PORT FILE MODULE:CLASS.FUNCTION...

What each took goes to FILE as JSON when the server ends.
"""

import functools
import importlib
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from benchmarks.home import stop_like_ctrl_c
from serving.app import create_app
from serving.http.wire import PROTOCOL


def main(port: str, file: str, *places: str) -> None:
    """Serve until a signal comes."""
    seconds: dict[str, float] = defaultdict(float)
    calls: Counter[str] = Counter()
    for place in places:
        put_a_clock_around(place, seconds, calls)
    stop_like_ctrl_c()
    try:
        uvicorn.run(
            create_app(),
            port=int(port),
            http=PROTOCOL,
            access_log=False,
            proxy_headers=False,
        )
    finally:
        told = {}
        for place in places:
            told[place] = {"seconds": seconds[place], "calls": calls[place]}
        Path(file).write_text(json.dumps(told))


def put_a_clock_around(place: str, seconds: dict[str, float], calls: Counter[str]) -> None:
    """Replace a function of the server by one that counts its calls and their seconds."""
    module, _, path = place.partition(":")
    owner_name, _, name = path.partition(".")
    owner = getattr(importlib.import_module(module), owner_name)
    work = getattr(owner, name)
    setattr(owner, name, clocked(work, place, seconds, calls))


def clocked(
    work: Callable[..., Any], place: str, seconds: dict[str, float], calls: Counter[str]
) -> Callable[..., Any]:
    @functools.wraps(work)
    def timed(*arguments: Any) -> Any:
        begin = time.perf_counter()
        result = work(*arguments)
        seconds[place] += time.perf_counter() - begin
        calls[place] += 1
        return result

    return timed


if __name__ == "__main__":
    main(*sys.argv[1:])
