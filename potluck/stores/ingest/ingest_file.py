"""A repo's `ingest.py`: the function that gives the sources, and what it says of their rows."""

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from potluck.contract.errors import DataError, UsageError

Sources = Mapping[str, pa.Table | pa.Schema]
"""Source name -> its rows, or the schema of a folder of files that others fill."""

Keys = Mapping[str, Sequence[str]]
"""Source name -> columns that, with `event_timestamp`, say which row it is."""


@dataclass(frozen=True)
class Ingest:
    """What a repo's `ingest.py` says: the function, and how its rows are told apart."""

    function: Callable[[Sequence[Path], int, int], Sources]
    keys: Keys = field(default_factory=dict)
    """Its `KEYS`."""
    appendable: bool = True
    """Its `APPENDABLE`: False where rows are known only by their place in the file."""

    def __call__(self, files: Sequence[Path], rows: int, seed: int) -> Sources:
        """Call the function and check what it gives.

        Raises:
            DataError: it gives something else than tables and schemas by name.
        """
        sources = self.function(files, rows, seed)
        check_sources(sources)
        return sources


def load_ingest(repo: Path) -> Ingest:
    """Load a repo's `ingest.py`, which may import its neighbours in the folder.

    Raises:
        UsageError: there is none.
        Exception: what the file itself raises; the front door says where.
    """
    path = repo / "ingest.py"
    if not path.is_file():
        raise UsageError(
            f"expected {path} with a function ingest(files, rows, seed); see "
            "docs/bring-your-own-data.md"
        )
    module = load_module(repo, path)
    if not hasattr(module, "ingest"):
        raise UsageError(
            f"{path} has no function ingest(files, rows, seed); see docs/bring-your-own-data.md"
        )
    keys = getattr(module, "KEYS", {})
    appendable = getattr(module, "APPENDABLE", True)
    return Ingest(module.ingest, keys, appendable=appendable)


def load_module(repo: Path, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("potluck_ingest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(repo))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(repo))
    return module


def check_sources(sources: object) -> None:
    if not isinstance(sources, Mapping) or not sources:
        raise DataError(f"expected ingest() to give tables by name, got {type(sources).__name__}")
    for name, source in sources.items():
        if not isinstance(source, pa.Table | pa.Schema):
            convert = "pyarrow.Table.from_pandas(frame, preserve_index=False)"
            raise DataError(
                f"expected the source {name} to be a pyarrow table, got {type(source).__name__}; "
                f"turn a data frame into one with {convert}"
            )
