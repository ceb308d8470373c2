"""What became of rows that went into the online store, and what a `potluck materialize` asks of
it."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from potluck.contract.accounting import AFTER_AS_OF, NO_DATE, NO_KEY, OUT_OF_RANGE, SHOWN, LeftOut

if TYPE_CHECKING:
    from feast import FeatureView

log = logging.getLogger("potluck.stores")

Progress = Callable[[str, int, int | None], None]
"""Told the view, how many of its rows are done, and of how many if that is known."""

OLDER, FUTURE, REJECTED = "older", "future", "rejected"
KEYLESS, UNDATED, OUTSIDE = "no_key", "no_date", "out_of_range"

NEWER_PUSHED = "skipped: a newer row was pushed"
NEWER_STORED = "skipped: the online store holds a newer row"
IN_THE_FUTURE = "dated in the future; correct the source"
REFUSED = "refused by Redis: the key holds something else than a hash; delete those keys"

LOGGED = {
    OLDER: NEWER_PUSHED,
    FUTURE: IN_THE_FUTURE,
    REJECTED: REFUSED,
    KEYLESS: NO_KEY,
    UNDATED: NO_DATE,
    OUTSIDE: OUT_OF_RANGE,
}
ACCOUNTED = {**LOGGED, FUTURE: AFTER_AS_OF}
"""The same, where an as-of date was given."""


@dataclass
class WrittenRows:
    """What became of one view's rows."""

    view: str
    source: str = ""
    """Where they came from, to name it."""
    came: int = 0
    written: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Rows that were not written, by kind: the keys of `LOGGED`."""
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few of each kind."""

    def leave_out(self, kind: str, count: int, examples: Iterable[str] = ()) -> None:
        """Count rows that were not written, and keep the first few names."""
        self.left_out[kind] += count
        kept = self.examples.setdefault(kind, [])
        kept += list(examples)[: SHOWN - len(kept)]

    def add(self, more: "WrittenRows") -> None:
        """A view may be written in several calls."""
        self.came += more.came
        self.written += more.written
        for kind, count in more.left_out.items():
            self.leave_out(kind, count, more.examples.get(kind, ()))

    def reasons(self, kinds: Iterable[str] = tuple(ACCOUNTED)) -> list[LeftOut]:
        """For an account."""
        return [
            LeftOut(ACCOUNTED[kind], self.left_out[kind], tuple(self.examples.get(kind, ())))
            for kind in kinds
        ]

    def warn(self, words: Mapping[str, str]) -> None:
        """Log what was not written."""
        for kind, count in self.left_out.items():
            if count:
                told = LeftOut(words[kind], count, tuple(self.examples[kind]))
                log.warning(
                    "view %s, rows from %s, left out: %s", self.view, self.source, told.text()
                )


@dataclass
class Session:
    """One `potluck materialize`, as its rows go through the online store."""

    horizon: datetime | None = None
    """Rows dated later stay out; where it is None, later than in a minute."""
    progress: Progress | None = None
    fed: "Mapping[str, FeatureView]" = field(default_factory=dict)
    """A view with the features that are to be written, where they are others than it declares."""
    straight: set[str] = field(default_factory=set)
    """Views whose source's latest records went into Redis as they are."""
    written: dict[str, WrittenRows] = field(default_factory=dict)
    """By the view's name in Redis, as the next."""
    keys: dict[str, list[npt.NDArray[np.uint64]]] = field(default_factory=dict)
    """Hashes of the Redis keys of all entities that the data holds."""

    def note(self, told: WrittenRows) -> None:
        self.written.setdefault(told.view, WrittenRows(told.view, told.source)).add(told)
