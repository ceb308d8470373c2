"""Rows of a file or of standard input, one after the other.

CSV with a header, JSON lines, or one JSON array of records: the first character tells which. A row
that can't be read is an answer in its place, and the next one is read all the same.
"""

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, TextIO

from cli.client.csv_rows import csv_rows
from cli.client.json_rows import json_array, json_lines
from cli.client.records import CHUNK, Row, RowFormat
from potluck.contract.errors import DataError, UsageError

READERS: dict[bytes, Callable[[TextIO, RowFormat], Iterator[Row]]] = {
    b"{": json_lines,
    b"[": json_array,
}


def stream_rows(stream: BinaryIO, row_format: RowFormat) -> Iterator[Row]:
    """Read rows as they are asked for.

    Raises:
        UsageError: the stream holds another kind of file, or columns that the service does not
            take.
        DataError: it is empty, or from here on it can't be read.
    """
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    start = buffered.peek(CHUNK).removeprefix(b"\xef\xbb\xbf").lstrip()[:4]
    if not start:
        raise DataError("expected rows, got an empty file")
    if start == b"PAR1":
        raise UsageError(
            "expected CSV, JSON lines or a JSON array of records, got a parquet file; "
            "write it as CSV"
        )
    # What is not text in this encoding becomes a lone surrogate, and spoils its own row alone.
    encoding = "utf-8-sig" if row_format.encoding == "utf-8" else row_format.encoding
    text = io.TextIOWrapper(buffered, encoding=encoding, errors="surrogateescape", newline="")
    read = READERS.get(start[:1], csv_rows)
    return read(text, row_format)
