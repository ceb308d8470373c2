"""What is worked out once for a value and found under it the next time."""

from collections.abc import Callable
from typing import Any

MOST_REMEMBERED = 2048
"""Values of one column; more are forgotten, so that a column of ever new values takes no more
memory."""
LONGEST_REMEMBERED = 128


class Remembered(dict[Any, Any]):
    """What `make` makes of a key, kept for the next time.

    Args:
        longest: characters, or bytes, of a key that is kept: whoever sends ever new long ones must
            not fill the memory.
    """

    def __init__(self, make: Callable[[Any], Any], longest: int = LONGEST_REMEMBERED) -> None:
        super().__init__()
        self.make, self.longest = make, longest

    def __missing__(self, key: Any) -> Any:
        return self.keep(key, self.make(key))

    def keep(self, key: Any, made: Any) -> Any:
        if isinstance(key, str | bytes) and len(key) > self.longest:
            return made
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        self[key] = made
        return made
