"""The errors of one CSV file, collected for one message."""

import operator
from collections.abc import Sequence
from pathlib import Path

from potluck.contract.errors import DataError

MOST_ERRORS = 20
MOST_NAMES = 5
LONGEST_QUOTE = 40  # characters of a wrong cell that a message repeats


class ErrorList:
    """Collects the errors of one file, so that a person corrects it once and not twenty times."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[tuple[int, str]] = []

    @property
    def full(self) -> bool:
        return len(self.errors) >= MOST_ERRORS

    def add(self, line: int, reason: str) -> None:
        self.errors.append((line, reason))

    def refuse(self) -> None:
        """Raise what was collected, by line, if anything was.

        Raises:
            DataError: the file has errors; the message names the first of them.
        """
        if not self.errors:
            return
        told = [f"{self.path} does not hold what was declared:"]
        # A block is parsed column by column, so its errors did not come by line.
        by_line = sorted(self.errors, key=operator.itemgetter(0))
        told += [f"  line {line}, {reason}" for line, reason in by_line[:MOST_ERRORS]]
        if self.full:
            told.append("  and maybe more: these come first")
        told.append("Correct the file and ingest it again.")
        raise DataError("\n".join(told))


def quote(text: str) -> str:
    """Quote a cell's text, shortened where it is long."""
    if len(text) > LONGEST_QUOTE:
        text = text[:LONGEST_QUOTE] + "…"
    return repr(text)


def some(names: Sequence[str]) -> str:
    """List a few names, and say how many more there are."""
    told = ", ".join(names[:MOST_NAMES])
    if len(names) > MOST_NAMES:
        told += f" and {len(names) - MOST_NAMES} more"
    return told
