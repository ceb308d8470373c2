"""From a repo's `ingest.py` to its parquet sources."""
