"""Commands of one key in Redis's wire format, packed once but for the key."""

from collections.abc import Sequence


class KeyCommand:
    """A command whose first argument is a key.

    Args:
        name: such as HMGET.
        after: the arguments behind the key.
    """

    def __init__(self, name: str, *after: bytes) -> None:
        self.name = name
        self.after = after
        self.head = b"*%d\r\n%b$" % (2 + len(after), bulk(name.encode()))
        self.tail = b"\r\n" + b"".join(map(bulk, after))

    def packed(self, key: bytes) -> bytes:
        """The bytes that Redis reads."""
        return b"%b%d\r\n%b%b" % (self.head, len(key), key, self.tail)

    def words(self, key: bytes) -> tuple[bytes | str, ...]:
        """The command as redis-py takes it."""
        return (self.name, key, *self.after)


Call = tuple[KeyCommand, bytes]
"""A command and its key."""


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def packed(calls: Sequence[Call]) -> bytes:
    """All calls in one piece."""
    return b"".join([command.packed(key) for command, key in calls])
