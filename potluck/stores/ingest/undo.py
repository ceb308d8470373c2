"""The way back from an ingest: the sources that it replaced are kept beside until the next one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from potluck.contract.errors import MissingStepError
from potluck.contract.lock import exclusive
from potluck.stores.ingest.sources import LOCK_FILE, arrow_errors_in_words, count_rows
from potluck.stores.ingest.swap import swap_back


@dataclass(frozen=True)
class Undone:
    """What was put back."""

    rows: Mapping[str, int]
    """Source -> rows that it holds now."""
    before: Mapping[str, int]
    """Source -> rows that it held."""


def undo_ingest(folder: Path) -> Undone:
    """Put back the sources that the last ingest replaced; called again it brings the ingest's own
    back.

    Raises:
        MissingStepError: no ingest replaced anything here.
        Locked: an ingest writes into this folder.
    """
    if not folder.is_dir():
        raise nothing_replaced(folder)
    with exclusive(folder / LOCK_FILE, f"an ingest writes into {folder}"), arrow_errors_in_words():
        before = rows_in(folder)
        names = [Path(name).stem for name in swap_back(folder)]
        after = rows_in(folder)
    if not names:
        raise nothing_replaced(folder)
    rows = {name: after[name] for name in names}
    return Undone(rows, before={name: before.get(name, 0) for name in names})


def rows_in(folder: Path) -> dict[str, int]:
    """Count the rows of each source that is a file of its own."""
    files = [path for path in sorted(folder.glob("*.parquet")) if path.is_file()]
    return {path.stem: count_rows(path.stem, path) for path in files}


def nothing_replaced(folder: Path) -> MissingStepError:
    return MissingStepError(f"there is nothing to undo: no ingest replaced a source in {folder}")
