"""Progress on standard error, where that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Follow = Callable[[str, int, int | None], None]
"""Takes what is worked on, the rows done of it so far, and how many there are, if that is known."""


@contextmanager
def progress_bar(total: int | None, text: str) -> Iterator[Callable[[int], None]]:
    """Show one bar; what is yielded takes how much was done since the last call."""
    # The serving image has no tqdm: it is imported only where the bar is seen.
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=text, leave=False, unit_scale=True) as bar:
        yield lambda done: bar.update(done) and None


@contextmanager
def rows_progress() -> Iterator[Follow]:
    """Show one bar after the other, with rows and rows a second, for each step or table."""
    from tqdm import tqdm

    bars: dict[str, tqdm[Any]] = {}
    silent = not sys.stderr.isatty()

    def follow(name: str, done: int, total: int | None) -> None:
        if name not in bars:
            close_bars()
            bars[name] = tqdm(
                total=total, desc=name, disable=silent, leave=False, unit=" rows", unit_scale=True
            )
        bars[name].update(done - bars[name].n)

    def close_bars() -> None:
        while bars:
            bars.popitem()[1].close()

    try:
        yield follow
    finally:
        close_bars()
