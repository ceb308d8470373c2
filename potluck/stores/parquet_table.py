"""For a repo's `ingest.py`: parquet files."""

from potluck.stores.ingest.parquet_table import read_parquet

__all__ = ["read_parquet"]
