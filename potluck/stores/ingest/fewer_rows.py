"""Sources that would hold fewer rows than before: replaced only where somebody says so."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from potluck.contract.errors import Refused


@dataclass(frozen=True)
class FewerRows:
    """A source that would hold fewer rows than before."""

    source: str
    before: int
    after: int


MayShrink: TypeAlias = Callable[[Sequence[FewerRows]], bool]
"""Asked before sources are replaced by fewer rows than they hold."""


def check_row_counts(
    before: Mapping[str, int], after: Mapping[str, int], may_shrink: MayShrink
) -> None:
    """Ask whether sources may shrink, where some would.

    Args:
        before: source -> its rows; `after` likewise.

    Raises:
        Refused: it may not.
    """
    shrinking = []
    for name, rows in after.items():
        if rows < before[name]:
            shrinking.append(FewerRows(name, before[name], rows))
    if shrinking and not may_shrink(shrinking):
        raise Refused(refusal(shrinking))


def refusal(shrinking: Sequence[FewerRows]) -> str:
    counts = ", ".join(f"{each.source} {each.before} → {each.after} rows" for each in shrinking)
    return (
        f"replacing would leave fewer rows than there are: {counts}. Nothing was written: "
        "--replace replaces them all the same, --append adds to those that are there"
    )
