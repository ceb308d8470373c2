"""What is known of a file: its columns with types, what is missing, and how it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from potluck.stores.ingest.csv_cells import CsvColumn, Notation


@dataclass(frozen=True)
class ColumnProfile:
    """One column of the file."""

    header: str
    """Its name in the file."""
    name: str
    """Its name in the repo."""
    declared: tuple[CsvColumn, ...]
    """What it holds. More than one where day and month can't be told apart; empty where no
    declaration can hold it."""
    values: pa.ChunkedArray
    """In the first declaration's type; a missing value is a null."""
    marks: frozenset[str] = frozenset()
    """Texts in it that mean a missing value."""
    notes: tuple[str, ...] = ()
    """What the user should know of it."""

    @property
    def column(self) -> CsvColumn:
        return self.declared[0]

    @property
    def dtype(self) -> str:
        return self.column.dtype if self.declared else str(self.values.type)

    @property
    def missing(self) -> int:
        return int(self.values.null_count)

    @cached_property
    def distinct(self) -> int:
        """How many different values it has, missing ones not counted."""
        if not self.declared:
            return 0
        return int(pc.count_distinct(self.values, mode="only_valid").as_py())

    @property
    def is_time(self) -> bool:
        return self.dtype in ("date", "timestamp")


@dataclass(frozen=True)
class ProfiledTable:
    """The whole file."""

    path: Path
    rows: int
    profiles: Mapping[str, ColumnProfile]
    """Name in the file -> the column."""
    delimiter: str = ""
    """Empty for parquet."""
    encoding: str = ""
    notation: Notation = field(default_factory=Notation)

    @property
    def is_parquet(self) -> bool:
        return not self.delimiter

    @property
    def names(self) -> dict[str, str]:
        """Name in the file -> name in the repo."""
        return {header: profile.name for header, profile in self.profiles.items()}
