"""How fast rows get into Redis: the bulk writer, and the limit: the same bytes, ready made, through
a raw socket."""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

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
    ways: dict[str, Callable[[], None]] = {
        "bulk": lambda: write_in_bulk(client, table, columns),
        "raw": lambda: write_raw(path, stream, rows),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, write in ways.items():
            client.flushall()
            started = time.perf_counter()
            write()
            seconds[name].append(time.perf_counter() - started)
            assert client.dbsize() == rows
    client.flushall()
    return Writing(features, *(rows / median(seconds[name]) for name in ("bulk", "raw")))


def write_in_bulk(client: RedisClient, table: pa.Table, columns: Sequence[pa.Array]) -> None:
    with BulkWriter(client) as writer:
        writer.write(entity_keys("bench", [KEY], table), fields_of(columns))


def fields_of(columns: Sequence[pa.Array]) -> list[tuple[bytes, pa.BinaryArray]]:
    return [
        (b"f%03d" % place, encode_values(column, "float64")) for place, column in enumerate(columns)
    ]


def streams(table: pa.Table, columns: Sequence[pa.Array]) -> Iterator[memoryview]:
    keys, fields = entity_keys("bench", [KEY], table), fields_of(columns)
    for start in range(0, table.num_rows, CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        values = [piece for name, value in fields for piece in (name, value[part])]
        yield command_stream([b"HSET", keys[part], *values], len(keys[part]))


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
