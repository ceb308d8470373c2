"""Overload: a hot call above the limit is refused cheaply, and so late that its caller can't come
back at once.

A caller who is refused and asks again without a pause costs the server more than one who is served.
So refusals leave in ticks of a few milliseconds, and only so many of them: what is left of the time
belongs to the calls that are served.
"""

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING

from pydantic_core import to_json

from potluck.contract.errors import Overloaded
from serving.metrics import REQUESTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.http.cycle import HotCycle
    from serving.http.edge import Exchange

TICK_SECONDS = 0.005
MOST_A_TICK = 50
"""About a sixth of a worker's time."""
BUSY = "the server works on as many requests as it takes; ask again shortly"
WORDS = {"error_code": Overloaded.error_code, "message": BUSY, "details": []}
BODY = to_json(WORDS)[:-1] + b',"request_id":%b}'


class RefusedCalls:
    """The refused hot calls of one worker that are still to be told."""

    def __init__(self, note: "Callable[[Exchange], None]") -> None:
        """
        Args:
            note: told of each, when its answer is sent.
        """
        self.note = note
        self.line: deque[HotCycle] = deque()
        self.counted: Counter[tuple[str, str]] = Counter()

    def add(self, cycle: "HotCycle") -> None:
        if not self.line:
            asyncio.get_running_loop().call_later(TICK_SECONDS, self.tick)
        self.line.append(cycle)

    def tick(self) -> None:
        """Send the oldest ones."""
        for _ in range(min(len(self.line), MOST_A_TICK)):
            cycle = self.line.popleft()
            self.counted[cycle.exchange.endpoint, cycle.exchange.service] += 1
            cycle.exchange.status = Overloaded.status
            cycle.send(Overloaded.status, BODY % to_json(cycle.target.request_id))
            self.note(cycle.exchange)
        if self.line:
            asyncio.get_running_loop().call_later(TICK_SECONDS, self.tick)

    def report(self) -> None:
        """Tell the metrics what was counted since: to do so at each would cost as much as the
        refusal."""
        counted, self.counted = self.counted, Counter()
        for (endpoint, service), number in counted.items():
            REQUESTS.labels(endpoint, service, str(Overloaded.status)).inc(number)
