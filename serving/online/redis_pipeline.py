"""One connection to Redis that many calls share: replies belong to calls by their order alone."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis
import redis
from redis.asyncio.connection import AbstractConnection, DefaultParser
from redis.exceptions import AskError, ClusterDownError, TryAgainError

Reply = Any
"""bytes, None, a list of bytes or None, or the `redis.ResponseError` of this one command."""

ABOUT_THE_SERVER = (
    redis.ConnectionError,
    redis.ReadOnlyError,
    AskError,
    TryAgainError,
    ClusterDownError,
)
SETTLING_SECONDS = 0.001
LARGEST_REPLY = 1 << 20
"""Bytes of one command's reply: what an entity's hash, or a pointer, gives."""


class Away(Exception):
    """Redis gave no answer."""


class Lost(Away):
    """The connection ended before the answer came; another one may bring it."""


class Replaced(Lost):
    """The connection ended because of another call's reply, which was too large."""


class TooLarge(Away):
    """One reply, whose rest was not read; so the connection ended.

    Attributes:
        replies: to the commands before it.
    """

    def __init__(self, replies: list[Reply]) -> None:
        self.replies = replies
        super().__init__(f"a reply has more than {LARGEST_REPLY} bytes")


class RefusedReply(Away):
    """Some replies say that this server can't answer now: it is loading, or a key moved to another
    node."""

    def __init__(self, replies: list[Reply]) -> None:
        self.replies = replies
        self.errors = [reply for reply in replies if isinstance(reply, ABOUT_THE_SERVER)]
        super().__init__(str(self.errors[0]))


class Waiting:
    """A call whose replies have not all come."""

    __slots__ = ("answer", "count", "deadline")

    def __init__(self, answer: "asyncio.Future[list[Reply]]", count: int, deadline: float) -> None:
        self.answer = answer
        self.count = count
        self.deadline = deadline

    def fail(self, error: Away) -> None:
        if not self.answer.done():  # its reader may have been cancelled
            self.answer.set_exception(error)


class Pipeline(asyncio.Protocol):
    """Takes over a connection that redis-py has opened and authenticated.

    A call that is late, or whose reader was cancelled, keeps its place in the queue, and its
    replies are thrown away when they come. Only a connection on which nothing at all came for a
    whole deadline is given up.

    Args:
        connection: connected, RESP2, with nothing left to read.
        seconds: the deadline of a call.
        on_end: told once when the connection has ended, for whatever reason.
    """

    def __init__(
        self, connection: AbstractConnection, seconds: float, on_end: "Callable[[Pipeline], None]"
    ) -> None:
        assert connection._writer is not None
        self.connection = (
            connection  # its stream writer would close the transport when it is collected
        )
        self.transport = connection._writer.transport
        self.seconds = seconds
        self.on_end = on_end
        self.loop = asyncio.get_running_loop()
        self.waiting: deque[Waiting] = deque()
        self.replies: list[Reply] = []
        self.unfinished = 0
        """Bytes that came since the last whole reply, and at most those of one chunk more."""
        self.refusing = False
        self.heard = self.loop.time()
        self.due = math.inf
        self.watch: asyncio.TimerHandle | None = None
        self.ended = False
        self.reader = hiredis.Reader(
            protocolError=redis.InvalidResponse, replyError=self.error_reply
        )
        self.transport.set_protocol(self)

    def ask(self, data: bytes, count: int, deadline: float) -> "asyncio.Future[list[Reply]]":
        """Send commands and answer their replies.

        Args:
            data: packed commands.
            count: how many they are, at least one.
            deadline: by the loop's clock.

        Raises:
            Lost: the connection ended.
            TooLarge: one of the replies is; the calls behind this one are told `Replaced`.
            Refused: the server can't answer.
            Away: nothing came within the deadline.
        """
        if self.ended:
            raise Lost
        answer = self.loop.create_future()
        self.waiting.append(Waiting(answer, count, deadline))
        self.transport.write(data)
        if deadline < self.due:
            self.look_at(deadline)
        return answer

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        self.unfinished += len(data)
        try:
            self.reader.feed(data)
            gets, replies = self.reader.gets, self.replies
            while (reply := gets()) is not False:
                replies.append(reply)
                self.unfinished = len(data)
                if len(replies) == self.waiting[0].count:
                    self.complete(replies)
                    replies = self.replies = []
        except (redis.InvalidResponse, IndexError):  # no reply at all, or one that nobody waits for
            self.end()
        if self.unfinished > LARGEST_REPLY and self.waiting:
            self.waiting.popleft().fail(TooLarge(self.replies))
            self.end(Replaced())

    def complete(self, replies: list[Reply]) -> None:
        answer = self.waiting.popleft().answer
        if self.refusing:
            self.refusing = False
            if not answer.done():
                answer.set_exception(RefusedReply(replies))
        elif not answer.done():
            answer.set_result(replies)

    def error_reply(self, text: str) -> Exception:
        """Make an error of Redis's words; the reader calls it within `gets`."""
        error: Exception = DefaultParser.parse_error(text)  # type: ignore[no-untyped-call]
        self.refusing |= isinstance(error, ABOUT_THE_SERVER)
        return error

    def look_at(self, deadline: float) -> None:
        """One timer serves all calls: it goes from deadline to deadline."""
        if self.watch is not None:
            self.watch.cancel()
        self.due = deadline
        self.watch = self.loop.call_at(deadline, self.settle)

    def settle(self) -> None:
        """A deadline is over; but if the loop was held up, replies may lie in the socket: let it
        read them first."""
        self.watch = self.loop.call_later(SETTLING_SECONDS, self.look_for_late)

    def look_for_late(self) -> None:
        """Fail the calls whose deadline is over, and give a silent connection up."""
        self.watch, self.due = None, math.inf
        now = self.loop.time()
        late = [call for call in self.waiting if call.deadline <= now]
        for call in late:
            call.fail(Away(f"no answer within {self.seconds} s"))
        if late and now - self.heard >= self.seconds:
            self.end()
        elif len(late) < len(self.waiting):
            self.look_at(min(call.deadline for call in self.waiting if call.deadline > now))

    def connection_lost(self, _: Exception | None) -> None:
        self.end()

    def end(self, reason: Away | None = None) -> None:
        """Close, and tell all who still wait why."""
        if self.ended:
            return
        self.ended = True
        self.transport.abort()
        self.connection._close()
        if self.watch is not None:
            self.watch.cancel()
        self.on_end(self)
        while self.waiting:
            self.waiting.popleft().fail(reason or Lost())
