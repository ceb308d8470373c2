"""The errors of one CSV file, collected for one message."""

from collections.abc import Sequence
from pathlib import Path

from potluck.contract.errors import DataError

MOST_ERRORS = 20
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
        """Raise what was collected, by line, if anything was."""
        if self.errors:
            first = sorted(self.errors, key=lambda error: error[0])[:MOST_ERRORS]
            shown = "\n".join(f"  line {line}, {reason}" for line, reason in first)
            rest = "\n  and maybe more: these come first" if self.full else ""
            what = "does not hold what was declared"
            raise DataError(
                f"{self.path} {what}:\n{shown}{rest}\nCorrect the file and ingest it again."
            )


def quote(text: str) -> str:
    return repr(text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…")


def some(names: Sequence[str]) -> str:
    """A few names, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
