"""For a repo's `ingest.py`: what a column of a file may hold."""

from potluck.stores.ingest.csv_cells import MISSING, CsvColumn

__all__ = ["MISSING", "CsvColumn"]
