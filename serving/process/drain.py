"""How the server ends: it says so, answers what has come, and waits for nobody longer than
`POTLUCK_DRAIN_SECONDS`.

SIGTERM or SIGINT ── /readyz says 503 ── pause ── listener closed ── answers say
`connection: close` ── silent connections closed ── the end, at the latest after
`POTLUCK_DRAIN_SECONDS`. A second signal skips the rest.
"""

import asyncio
import contextlib
import ctypes
import logging
import socket
import struct
import time
from types import FrameType

import uvicorn

from serving.http.connections import Connections, Mark
from serving.http.edge import edge_of
from serving.http.wire import ShortWayProtocol

logger = logging.getLogger("potluck.serving")

SILENT_SECONDS = 1.0
"""For so long a connection must bring nothing before it is closed: a request may be on its way."""
TICK_SECONDS = 0.05
SO_ATTACH_FILTER = 26  # of Linux; Python has no name for it
DROP_SYN = (
    (0x30, 0, 0, 13),  # load the flags of the TCP header
    (0x54, 0, 0, 0x12),  # keep SYN and ACK
    (0x15, 0, 1, 0x02),  # if it is SYN alone,
    (0x06, 0, 0, 0),  # drop the packet,
    (0x06, 0, 0, 0xFFFFFFFF),  # else take all of it
)
"""A classic BPF program: operation, steps if true, steps if false, value."""


class DrainingServer(uvicorn.Server):
    """uvicorn's server with another end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        check_application(self.config.loaded_app)
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        connections = edge_of(self.config.loaded_app).connections
        connections.draining = True
        settings = connections.settings
        pause, longest = settings.drain_pause_seconds, settings.drain_seconds
        logger.info("stopping: no new connections after %g s, the end within %g s", pause, longest)
        await self.until(time.monotonic() + pause)
        await self.close_listeners(sockets or [])
        for protocol in list(self.server_state.connections):
            protocol.shutdown()
        await self.until(time.monotonic() + longest, connections)
        await self.cut_off()
        if not self.force_exit:
            await self.lifespan.shutdown()

    async def until(self, deadline: float, connections: Connections | None = None) -> None:
        """Wait, at the longest until nobody is left of these connections."""
        watches: dict[ShortWayProtocol, tuple[Mark | None, int, float]] = {}
        while time.monotonic() < deadline and not self.force_exit:
            if connections is not None:
                if not self.server_state.connections and not self.server_state.tasks:
                    return
                watches = self.without_the_silent(watches)
            await asyncio.sleep(TICK_SECONDS)

    def without_the_silent(
        self, before: dict[ShortWayProtocol, tuple[Mark | None, int, float]]
    ) -> dict[ShortWayProtocol, tuple[Mark | None, int, float]]:
        """Close connections on which nothing came for a while, and answer what the others wait for,
        and since when."""
        now, after = time.monotonic(), {}
        for protocol in list(self.server_state.connections):
            assert isinstance(protocol, ShortWayProtocol)
            found = protocol.waits_for(), protocol.delivered
            mark, delivered, since = before.get(protocol, (*found, now))
            if found != (mark, delivered) or found[0] is None:
                since = now
            elif now - since >= SILENT_SECONDS and not protocol.corked.has_more():
                protocol.corked.transport.close()
            after[protocol] = (*found, since)
        return after

    async def close_listeners(self, sockets: list[socket.socket]) -> None:
        """Close them; whom the kernel has accepted by then is served."""
        listeners = [own.fileno() for server in self.servers for own in server.sockets]
        for number in listeners:
            accept_nobody_new(number)
        await asyncio.sleep(TICK_SECONDS)
        accepted = [caller for number in listeners for caller in waiting(number)]
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()
        loop = asyncio.get_running_loop()
        for caller in accepted:
            await loop.connect_accepted_socket(self.protocol, caller)

    def protocol(self) -> ShortWayProtocol:
        state = self.lifespan.state
        return ShortWayProtocol(
            config=self.config,
            server_state=self.server_state,
            app_state=state,
            _loop=None,
        )

    async def cut_off(self) -> None:
        """End what did not end by itself."""
        left, tasks = list(self.server_state.connections), list(self.server_state.tasks)
        if left or tasks:
            given_up = (len(left), len(tasks))
            logger.warning("stopped with %d connections open, %d requests at work", *given_up)
        for protocol in left:
            protocol.transport.abort()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1.0)


def check_application(app: object) -> None:
    """See at the start that hot calls find their way, and tell what they pass by.

    Raises:
        TypeError: there is no edge behind the protocol.
    """
    edge = edge_of(app)
    if app is not edge:
        logger.warning(
            "%s wraps the application: predictions and look-ups of single records pass it by. "
            "Put what it does in front of the server, such as a proxy, or start without it",
            type(app).__name__,
        )


def accept_nobody_new(listener: int) -> None:
    """Have the kernel drop what opens a connection: to close a listener resets those that are open
    and wait there.

    A handshake that has begun goes on. Where the kernel has no such filter, only the reset remains.
    """
    code = b"".join(struct.pack("HBBI", *step) for step in DROP_SYN)
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HL", len(DROP_SYN), ctypes.addressof(buffer))
    with socket.socket(fileno=socket.dup(listener)) as copy, contextlib.suppress(OSError):
        copy.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def waiting(listener: int) -> list[socket.socket]:
    """The callers whom the kernel has accepted for a listening socket, and nobody has taken over
    yet."""
    found = []
    with socket.socket(fileno=socket.dup(listener)) as copy:
        copy.setblocking(False)
        try:
            while True:
                caller, _ = copy.accept()
                caller.setblocking(False)
                found.append(caller)
        except OSError:
            return found
