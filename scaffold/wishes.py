"""What the user said, by flags or by answers; everything else is found in the file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from potluck.contract.errors import UsageError
from potluck.contract.features import Objective


class Asking(Protocol):
    """Asks the user what the file can't tell."""

    def __call__(
        self,
        flag: str,
        question: str,
        choices: Sequence[str],
        likely: str | None,
        *,
        needed: bool = False,
    ) -> str:
        """Ask a question.

        Args:
            flag: the flag that would have answered it.
            likely: what an empty answer means.
            needed: whether the user must answer; otherwise, where nobody can be asked, the likely
                answer is taken.

        Returns:
            One of the choices.

        Raises:
            UsageError: nobody can be asked, and the user must answer.
        """
        ...


def nobody_asked(
    flag: str, question: str, choices: Sequence[str], likely: str | None, *, needed: bool = False
) -> str:
    """Answer where there is no terminal: the likely answer, or an error that names the flag."""
    if likely is None or needed:
        raise UsageError(f"{question} Say it with {flag}: {', '.join(choices)}")
    return likely


@dataclass(frozen=True)
class Wishes:
    """The flags of `potluck init`; None and empty leave it to the file."""

    label: str | None = None
    key: str | None = None
    """`none` numbers the rows."""
    time: str | None = None
    """`none` dates all rows alike."""
    objective: Objective | None = None
    request: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    """Columns that would be left out as a leak, free text or an id of something."""
    categorical: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()
    date_format: str | None = None
    timezone: str = "UTC"
    delimiter: str | None = None
    encoding: str | None = None
    decimal: str | None = None
