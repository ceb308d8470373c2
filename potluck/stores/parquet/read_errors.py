"""What to tell of a source that can't be read."""

from potluck.contract.errors import DataError

AGAIN = "write the source again (`potluck ingest`)"


def no_parquet(source: str, file: str, error: Exception) -> DataError:
    return DataError(
        f"source {source} ({file}): expected parquet; got {first_line(error)}; {AGAIN}"
    )


def first_line(error: Exception) -> str:
    """What an error says before it shows a query or a stack."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
