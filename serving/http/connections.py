"""The connections of one worker: how many there may be, and how long one may wait for what."""

import asyncio
from typing import Protocol

from potluck.contract.settings import Settings
from serving.metrics import CLOSED, CONNECTIONS

HEAD, BODY, IDLE, UNREAD, LINGERING = "head", "body", "idle", "unread", "lingering"

REASONS = {HEAD: "header_time", BODY: "body_time", IDLE: "idle_time", UNREAD: "unread_answers"}
"""What a connection waited for too long -> the label of the metric."""
LINGERING_SECONDS = 2.0
"""How long a caller who was refused may go on sending: a connection that is closed at once loses
the refusal.
"""
LONGEST_SWEEP = 1.0
SPARE = 64
"""Callers above the most connections who are still told so; to others the connection is closed."""

Mark = tuple[str, int]
"""What a connection waits for, and a number that changes when it gets on."""


class Connection(Protocol):
    """What is looked at in each sweep."""

    delivered: int
    """Bytes of bodies that have come."""

    def waits_for(self) -> Mark | None:
        """What the caller has to do next; None while it is the server's turn."""

    def overdue(self, reason: str) -> None:
        """Close: what was waited for did not come in time."""


class Watch:
    """What a connection waits for, and since when."""

    __slots__ = ("delivered", "mark", "since")

    def __init__(self) -> None:
        self.mark: Mark | None = None
        self.since, self.delivered = 0.0, 0


class Connections:
    """All of them, looked at once a second: a timer for each request would cost more than the
    rest."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.live: dict[Connection, Watch] = {}
        self.draining = False
        self.seconds = {
            HEAD: settings.header_seconds,
            BODY: settings.body_seconds,
            IDLE: settings.idle_seconds,
            UNREAD: settings.unread_seconds,
            LINGERING: LINGERING_SECONDS,
        }

    @property
    def excess(self) -> int:
        """How many there are above the most that there may be."""
        return len(self.live) - self.settings.max_connections

    def add(self, connection: Connection) -> None:
        self.live[connection] = Watch()

    def remove(self, connection: Connection) -> None:
        self.live.pop(connection, None)

    async def sweep(self) -> None:
        """Close whoever is overdue, until cancelled."""
        loop = asyncio.get_running_loop()
        pause = min(LONGEST_SWEEP, min(self.seconds.values()) / 4)
        while True:
            CONNECTIONS.set(len(self.live))
            for connection, watch in list(self.live.items()):
                self.look(connection, watch, loop.time())
            await asyncio.sleep(pause)

    def look(self, connection: Connection, watch: Watch, now: float) -> None:
        """Note what a connection waits for, and close it if it has been the same for too long."""
        mark = connection.waits_for()
        if mark is None or mark != watch.mark:
            watch.mark, watch.since, watch.delivered = mark, now, connection.delivered
        elif now - watch.since >= self.seconds[mark[0]]:
            if mark[0] == BODY and self.flows(connection.delivered - watch.delivered):
                watch.since, watch.delivered = now, connection.delivered
            else:
                connection.overdue(mark[0])

    def flows(self, delivered: int) -> bool:
        """Whether a body brought enough in its time: a slow line is no reason to refuse 8 MB."""
        return delivered >= self.settings.body_bytes_per_second * self.settings.body_seconds


def closed(reason: str) -> None:
    """Count a connection that is closed at a limit."""
    CLOSED.labels(reason).inc()
