"""The inference log as it is read: segments into parquet, then questions to it."""
