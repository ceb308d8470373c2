"""From the workers' segments to parquet files: every answered row once, in columns."""
