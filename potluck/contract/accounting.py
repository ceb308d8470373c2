"""What became of the rows that came: kept, or left out for a reason that is told.

Every verb that takes rows answers with an `Account` of each table, and `came == kept + left_out`
holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass

SHOWN = 5
"""Examples that an account keeps of each reason."""

NO_DATE = "no date"
OUT_OF_RANGE = "dated before 1678 or after 2261"
AFTER_AS_OF = "dated after the as-of date"
NO_KEY = "no key"
NO_LABEL = "no label"
DUPLICATE = "the same row came again; the last one counts"
SUPERSEDED = "an older record of its entity; the latest one counts"
UNKNOWN_ENTITY = "the feature store knew no such entity at that time"


@dataclass(frozen=True)
class LeftOut:
    """Rows that were left out for one reason."""

    reason: str
    count: int
    examples: tuple[str, ...] = ()
    """The first few, each named as a person finds it again: `Id=91`, or `line 17`."""

    def text(self) -> str:
        """For people: `12 without a label (Id=91, Id=92, …)`."""
        more = ", …" if self.count > len(self.examples) else ""
        named = f" ({', '.join(self.examples)}{more})" if self.examples else ""
        return f"{self.count} {self.reason}{named}"


@dataclass(frozen=True)
class Account:
    """The rows of one table, accounted for.

    Raises:
        ValueError: the counts don't add up, which is a defect of the caller.
    """

    table: str
    came: int
    kept: int
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        if self.came != self.kept + sum(each.count for each in self.left_out):
            raise ValueError(f"the rows of {self.table} don't add up: {self}")

    def count(self, reason: str) -> int:
        """Rows that were left out for a reason."""
        return sum(each.count for each in self.left_out if each.reason == reason)

    def text(self) -> str:
        """One line for people."""
        head = f"{self.table}: {self.came} rows came, {self.kept} kept"
        if not self.left_out:
            return head
        reasons = "; ".join(each.text() for each in self.left_out)
        return f"{head}, {self.came - self.kept} left out: {reasons}"


def account(table: str, came: int, left_out: Iterable[LeftOut]) -> Account:
    """What remains after the reasons is kept; a reason without rows is no reason."""
    reasons = tuple(each for each in left_out if each.count)
    return Account(table, came, came - sum(each.count for each in reasons), reasons)
