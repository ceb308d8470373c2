"""A connection's way out: writes of one turn leave as one, and the last answer reaches a caller who
still sends."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl


class CorkedTransport:
    """A transport whose writes of one turn of the event loop leave as one; in all else the
    transport itself."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        lingers: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            lingers: whether the caller may still be sending. Then only the way out is closed at
                first: the kernel answers what comes to a closed socket with a reset, which takes an
                unread answer with it.
        """
        self.transport, self.loop, self.lingers = transport, loop, lingers
        self.parts: list[bytes] = []
        self.ended = False

    def write(self, data: bytes) -> None:
        if not self.parts:
            self.loop.call_soon(self.flush)
        self.parts.append(data)

    def write_now(self, data: bytes) -> None:
        """Write what is whole by itself."""
        if self.parts:
            self.parts.append(data)
        elif not self.is_closing():
            self.transport.write(data)

    def flush(self) -> None:
        parts, self.parts = self.parts, []
        if parts and not self.ended and not self.transport.is_closing():
            self.transport.write(b"".join(parts))

    def close(self) -> None:
        if self.is_closing():
            return
        self.flush()
        if self.lingers():
            self.ended = True
            self.transport.write_eof()
            self.transport.resume_reading()  # until the caller closes too
        else:
            self.transport.close()

    def is_closing(self) -> bool:
        return self.ended or self.transport.is_closing()

    def has_more(self) -> bool:
        """Whether bytes have come that nobody has read yet."""
        own = self.transport.get_extra_info("socket")
        if own is None or own.fileno() < 0:
            return False
        with socket.socket(fileno=socket.dup(own.fileno())) as copy:
            try:
                return bool(copy.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
            except OSError:
                return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)


class Gate(FlowControl):
    """uvicorn's flow control, in which a request's reader can't resume what its connection holds
    back."""

    held = False

    def hold(self, held: bool) -> None:
        self.held = held
        if held:
            self.pause_reading()
        else:
            self.resume_reading()

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()
