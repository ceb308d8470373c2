"""The rows of one of Feast's retrieval jobs, a batch at a time."""

import warnings
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

BATCH_ROWS = 10_000


def record_batches(job: Any) -> Iterator[tuple[pa.RecordBatch, int | None]]:
    """A retrieval job's rows in pieces, each with the number of all rows where it is known.

    A job that can stream has `to_record_batches`, or a query of Ibis (as Feast's DuckDB has);
    others answer one table.
    """
    if hasattr(job, "to_record_batches"):
        for whole in job.to_record_batches():
            yield from ((batch, None) for batch in pieces(whole))
    elif hasattr(getattr(job, "table", None), "to_pyarrow_batches"):
        streamed = job.table.to_pyarrow_batches(chunk_size=BATCH_ROWS)
        for whole in begun(streamed):
            yield from ((batch, None) for batch in pieces(whole))
    else:
        table = job.to_arrow()
        yield from ((batch, table.num_rows) for batch in table.to_batches(max_chunksize=BATCH_ROWS))


def pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


def begun(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same; Ibis starts its query with a warning about DuckDB's names, which is for its
    authors."""
    with warnings.catch_warnings(action="ignore"):
        first = next(batches, None)
    if first is not None:
        yield first
        yield from batches
