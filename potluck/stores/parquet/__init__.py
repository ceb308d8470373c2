"""What the sources hold: parquet read by DuckDB, the point-in-time join, the population of the
nightly run."""
