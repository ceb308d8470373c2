"""How fast rows get into Redis: the bulk writer, and the limit: the same bytes, ready made, through
a raw socket."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from potluck.contract.fields import Field
from potluck.redis.bulk_writer import CHUNK_ROWS, BulkWriter
from potluck.redis.client import RedisClient
from potluck.redis.feast_bytes import encode_values, entity_keys
from potluck.redis.resp_stream import command_stream

KEY = Field("Id", "int64", "key")
READ_BYTES = 1 << 20
REPEATS = 3


@dataclass(frozen=True)
class Writing:
    """Rows a second; medians."""

    features: int
    bulk: float
    raw: float

    @property
    def share(self) -> float:
        return self.bulk / self.raw


def compare(client: RedisClient, path: Path, features: int, rows: int) -> Writing:
    """Write the same hashes of float64 both ways in turn, from Arrow columns and from the finished
    stream.

    Args:
        path: unix socket of the client's server, which is emptied before each turn.
    """
    random = np.random.default_rng(0)
    table = pa.table({"Id": np.arange(rows)})
    columns = [pa.array(random.normal(size=rows)) for _ in range(features)]
    stream = [bytes(part) for part in streams(table, columns)]
    bulk, raw = [], []
    for _ in range(REPEATS):
        bulk.append(time_writing(client, rows, lambda: write_in_bulk(client, table, columns)))
        raw.append(time_writing(client, rows, lambda: write_raw(path, stream, rows)))
    client.flushall()
    return Writing(features, bulk=rows / median(bulk), raw=rows / median(raw))


def time_writing(client: RedisClient, rows: int, write: Callable[[], None]) -> float:
    """Seconds that a way takes to write so many hashes into an empty Redis."""
    client.flushall()
    started = time.perf_counter()
    write()
    seconds = time.perf_counter() - started
    assert client.dbsize() == rows
    return seconds


def write_in_bulk(client: RedisClient, table: pa.Table, columns: Sequence[pa.Array]) -> None:
    with BulkWriter(client) as writer:
        writer.write(entity_keys("bench", [KEY], table), fields_of(columns))


def fields_of(columns: Sequence[pa.Array]) -> list[tuple[bytes, pa.BinaryArray]]:
    """Name and encoded values of each column."""
    fields = []
    for place, column in enumerate(columns):
        fields.append((b"f%03d" % place, encode_values(column, "float64")))
    return fields


def streams(table: pa.Table, columns: Sequence[pa.Array]) -> Iterator[memoryview]:
    """The commands of all rows as Redis reads them, a chunk of rows at a time."""
    keys = entity_keys("bench", [KEY], table)
    fields = fields_of(columns)
    for start in range(0, table.num_rows, CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        words: list[Any] = [b"HSET", keys[part]]
        for name, values in fields:
            words += [name, values[part]]
        yield command_stream(words, len(keys[part]))


def write_raw(path: Path, stream: Sequence[bytes], rows: int) -> None:
    """Send what is ready, and count the replies in another thread."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        counting = threading.Thread(target=count_replies, args=(connection, rows))
        counting.start()
        for part in stream:
            connection.sendall(part)
        counting.join()


def count_replies(connection: socket.socket, rows: int) -> None:
    seen = 0
    while seen < rows:
        seen += connection.recv(READ_BYTES).count(b"\n")
