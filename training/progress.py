"""Progress in parts of a whole: the number of iterations is known only while a training runs."""

import contextlib
from collections.abc import Iterator

from training.booster import IterationProgress


class Meter:
    """Turns the iterations of one phase after the other into parts of `WHOLE`."""

    CHOOSE, FIT = 600, 200
    WHOLE = CHOOSE + 2 * FIT

    def __init__(self, progress: IterationProgress) -> None:
        self.progress = progress

    @contextlib.contextmanager
    def phase(self, parts: int, iterations: int) -> Iterator[IterationProgress]:
        """Report so many parts in all, even if fewer iterations are needed than announced."""
        done = told = 0

        def step(count: int) -> None:
            nonlocal done, told
            done += count
            due = parts * min(done, iterations) // max(1, iterations)
            self.progress(due - told)
            told = due

        yield step
        self.progress(parts - told)
