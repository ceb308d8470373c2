"""One connection that a thread of its own feeds: it sends prepared commands, reads their replies,
and never waits for one of the two while the other could go on."""

import contextlib
import queue
import selectors
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hiredis
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import redis

from potluck.contract.errors import ServiceUnreachable
from potluck.redis.client import REDIS_ERRORS
from potluck.redis.unreachable import unreachable

READ_BYTES = 256 * 1024
SEND_BYTES = 1024 * 1024
QUEUED_BATCHES = 2
DEFAULT_SECONDS = 30.0
LOOK_SECONDS = 0.1


@dataclass
class Batch:
    """Commands that go out together."""

    data: memoryview
    keys: "pa.BinaryArray"
    """The key of each command."""
    rows: npt.NDArray[np.intp]
    """Where each command stands among all that were asked for."""
    answered: "Callable[[Batch, list[Any]], None]"
    """Told the replies as they come, in order; an error reply is an Exception among them."""
    done: int = 0
    """Replies that were told before."""


@dataclass
class Mark:
    """Stands in the queue behind batches: set when all their replies are in, or never will be."""

    reached: threading.Event = field(default_factory=threading.Event)


class Lane:
    """Takes over a connection that redis-py has opened and authenticated; batches wait in a short
    queue.

    Args:
        pool: of the server; the connection is closed in the end, and its place in the pool given
            back.

    Raises:
        ServiceUnreachable: the server does not answer.
    """

    def __init__(self, pool: redis.ConnectionPool) -> None:
        self.pool = pool
        try:
            self.connection = pool.get_connection()
        except REDIS_ERRORS as error:
            raise unreachable(str(error)) from None
        self.socket = socket_of(self.connection)
        self.seconds = float(self.socket.gettimeout() or DEFAULT_SECONDS)
        self.socket.setblocking(False)
        self.reader = hiredis.Reader(
            protocolError=redis.InvalidResponse, replyError=redis.ResponseError
        )
        self.queue: queue.Queue[Batch | Mark | None] = queue.Queue(QUEUED_BATCHES)
        self.waiting: deque[Batch] = deque()
        self.outgoing = memoryview(b"")
        self.selector = selectors.DefaultSelector()
        self.wanted = selectors.EVENT_READ
        self.selector.register(self.socket, self.wanted)
        self.error: ServiceUnreachable | None = None
        self.stopping = False
        self.thread = threading.Thread(target=self.run, name="redis-lane", daemon=True)
        self.thread.start()

    def put(self, item: Batch | Mark) -> None:
        """Queue a batch; waits while others are before it.

        Raises:
            ServiceUnreachable: an earlier one failed; this one is not sent.
        """
        while True:
            self.check()
            try:
                self.queue.put(item, timeout=LOOK_SECONDS)
                return
            except queue.Full:
                continue

    def flush(self) -> None:
        """Wait for all replies.

        Raises:
            ServiceUnreachable: they won't come.
        """
        mark = Mark()
        self.put(mark)
        while not mark.reached.wait(LOOK_SECONDS):
            self.check()
        self.check()

    def check(self) -> None:
        if self.error is not None:
            raise ServiceUnreachable(str(self.error)) from self.error
        if not self.thread.is_alive():
            raise unreachable("the connection was closed before")

    def close(self) -> None:
        """End the thread and the connection; what is still queued is not sent."""
        self.stopping = True
        with contextlib.suppress(queue.Full):
            self.queue.put_nowait(None)
        with contextlib.suppress(OSError):
            socket.socket.shutdown(
                self.socket, socket.SHUT_RDWR
            )  # a TLS socket's own would pull it from the thread
        self.thread.join(self.seconds)

    def run(self) -> None:
        try:
            while not self.stopping:
                self.step()
        except ServiceUnreachable as error:
            self.error = error
        except TimeoutError:
            self.error = unreachable(f"nothing came or went for {self.seconds:g} s")
        except (redis.RedisError, OSError) as error:
            self.error = unreachable(str(error) or type(error).__name__)
        except BaseException as error:  # the other thread must not wait for this one forever
            self.error = unreachable(f"{type(error).__name__}: {error}")
            raise
        finally:
            self.selector.close()
            self.connection.disconnect()
            self.pool.release(self.connection)

    def step(self) -> None:
        if not self.outgoing:
            self.take()
        if not self.outgoing and not self.waiting:
            return
        ready = self.wait(selectors.EVENT_READ | (selectors.EVENT_WRITE if self.outgoing else 0))
        if ready & selectors.EVENT_READ:
            self.read()
        if ready & selectors.EVENT_WRITE:
            self.send()

    def wait(self, wanted: int) -> int:
        """Until the socket can be read or written; answers which."""
        if wanted != self.wanted:
            self.wanted = wanted
            self.selector.modify(self.socket, wanted)
        ready = self.selector.select(self.seconds)
        if not ready:
            raise TimeoutError
        return ready[0][1]

    def take(self) -> None:
        """The next batch, if one is there; without any reply to wait for, wait for a batch
        instead."""
        try:
            item = self.queue.get(block=not self.waiting)
        except queue.Empty:
            return
        if isinstance(item, Batch):
            self.waiting.append(item)
            self.outgoing = item.data
        elif item is not None:
            self.wait_for_replies()
            item.reached.set()

    def wait_for_replies(self) -> None:
        while self.waiting and not self.stopping:
            self.wait(selectors.EVENT_READ)
            self.read()

    def send(self) -> None:
        try:
            self.outgoing = self.outgoing[self.socket.send(self.outgoing[:SEND_BYTES]) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return

    def read(self) -> None:
        try:
            while True:
                data = self.socket.recv(READ_BYTES)
                if not data:
                    raise redis.ConnectionError("it closed the connection")
                self.reader.feed(data)
                self.deliver()
                if not isinstance(self.socket, ssl.SSLSocket) or not self.socket.pending():
                    return
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return

    def deliver(self) -> None:
        """Hand the replies that are whole to the batches they belong to."""
        replies: list[Any] = []
        gets = self.reader.gets
        while (reply := gets()) is not False:
            replies.append(reply)
        while replies:
            if not self.waiting:
                raise redis.InvalidResponse("a reply came that belongs to no command")
            batch = self.waiting[0]
            mine = replies[: len(batch.keys) - batch.done]
            replies = replies[len(mine) :]
            batch.answered(batch, mine)
            batch.done += len(mine)
            if batch.done == len(batch.keys):
                self.waiting.popleft()


def socket_of(connection: Any) -> Any:
    """redis-py has no public name for it."""
    return connection._sock
