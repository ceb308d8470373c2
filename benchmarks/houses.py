"""As many synthetic houses as a night is to have."""

import math
import shutil
from pathlib import Path

import duckdb

from benchmarks.home import Home

MADE = 1_000_000
SOURCES = ("assessor", "listings")


def make_houses(home: Home, size: int, seed: int) -> None:
    """As many houses as asked for: made once, and beyond a million copied under new ids."""
    folder = home.settings.data_folder("house_prices")
    made = min(size, MADE)
    paths = [folder / f"{name}.parquet" for name in SOURCES]
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
    # Fewer houses than the home was laid down with are refused without `--replace`.
    home.potluck("ingest", "--replace", "--rows", str(made), "--seed", str(seed))
    for path in paths:
        multiply(path, made, size)


def multiply(path: Path, made: int, size: int) -> None:
    """Make a source a folder of files, each with the same rows under ids of its own."""
    if size <= made:
        return
    original = path.with_suffix(".original")
    path.rename(original)
    path.mkdir()
    files = math.ceil(size / made)
    for number in range(files):
        first = number * made
        rows = f"SELECT * REPLACE (Id + {first} AS Id) FROM read_parquet('{original}')"
        query = f"SELECT * FROM ({rows}) WHERE Id <= {size} ORDER BY Id"
        target = path / f"{number:04}.parquet"
        duckdb.sql(f"COPY ({query}) TO '{target}' (FORMAT parquet, ROW_GROUP_SIZE 50000)")
    original.unlink()
