"""For a repo's `ingest.py`: CSV files."""

from potluck.stores.ingest.csv_source import CsvTable, join_tables, read_csv

__all__ = ["CsvTable", "join_tables", "read_csv"]
