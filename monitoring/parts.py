"""The log's parquet files, on this machine or on object storage.

    <service>/<day>/<server>-<number>.parquet

A file grows by being replaced, whole and at once, until it has some thousand rows; so a reader sees
every row once, whenever it looks. A file says in its metadata how far it covers each worker's
segments: rows that are decoded again after a crash are known by it.
"""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from potluck.contract.errors import UsageError
from potluck.contract.files import replacing, write_whole
from potluck.contract.settings import Settings
from potluck.inference_log.layout import LogLayout

ROWS_OF_A_PART = 20_000
"""A file of so many rows is full: to replace one takes about 0.1 s."""
COVERED = b"potluck_covered"
PART = re.compile(r"(?P<server>[0-9a-f]{12})-(?P<number>\d{6})\.parquet")
ID_BYTES = 6

Position = tuple[int, int]
"""Segment and offset."""


@dataclass(frozen=True)
class Part:
    """One parquet file."""

    service: str
    day: str
    server: str
    number: int
    path: str
    size: int


@dataclass
class Tail:
    """The file of a service and a day to which rows are added."""

    number: int = 0
    rows: int = 0
    covered: dict[str, Position] = field(default_factory=dict)
    """Worker -> how far its segments are in the files of this service and day."""


class PartFiles:
    """The files of a log; only those of its own server are ever changed."""

    def __init__(self, files: fs.FileSystem, root: str, server: str) -> None:
        self.files, self.root, self.server = files, root, server
        self.tails: dict[tuple[str, str], Tail] = {}

    @property
    def is_local(self) -> bool:
        return self.files.type_name == "local"  # type: ignore[no-any-return]

    def all(self) -> list[Part]:
        """Return the files of every server, the oldest day first."""
        chosen = fs.FileSelector(self.root, recursive=True, allow_not_found=True)
        found = [part for info in self.files.get_file_info(chosen) if (part := self.part(info))]
        return sorted(found, key=lambda part: (part.day, part.service, part.server, part.number))

    def own(self) -> list[Part]:
        """Return the files of this server."""
        return [part for part in self.all() if part.server == self.server]

    def part(self, info: fs.FileInfo) -> Part | None:
        match = PART.fullmatch(info.base_name)
        names = info.path.split("/")
        if match is None or info.type != fs.FileType.File or len(names) < 3:
            return None
        day, service = names[-2], names[-3]
        number = int(match["number"])
        return Part(service, day, match["server"], number, info.path, info.size)

    def path(self, service: str, day: str, number: int) -> str:
        return f"{self.root}/{service}/{day}/{self.server}-{number:06d}.parquet"

    def tail(self, service: str, day: str) -> Tail:
        """Return the file of a service and a day that is not full yet."""
        key = service, day
        if key not in self.tails:
            self.tails[key] = self.find_tail(service, day)
        return self.tails[key]

    def find_tail(self, service: str, day: str) -> Tail:
        """Look for the newest file of a service and a day."""
        folder = f"{self.root}/{service}/{day}"
        chosen = fs.FileSelector(folder, allow_not_found=True)
        parts = [part for info in self.files.get_file_info(chosen) if (part := self.part(info))]
        numbers = [part.number for part in parts if part.server == self.server]
        if not numbers:
            return Tail()
        number = max(numbers)
        footer = self.footer(self.path(service, day, number))
        return Tail(number, footer.num_rows, covered_by(footer))

    def footer(self, path: str) -> pq.FileMetaData:
        with self.files.open_input_file(path) as file:
            return pq.read_metadata(file)

    def append(
        self,
        service: str,
        day: str,
        table: pa.Table,
        covered: dict[str, Position],
        workers: set[str],
    ) -> None:
        """Add rows to a service's day.

        Args:
            covered: worker -> how far its segments are in the files with these rows.
            workers: those whose segments may still be there; the others need no cover.

        Raises:
            OSError: they can't be written; the files are as before.
        """
        tail = self.tail(service, day)
        earlier = {name: end for name, end in tail.covered.items() if name in workers}
        everything = {**earlier, **covered}
        number, whole = tail.number, table
        if tail.rows >= ROWS_OF_A_PART:
            number += 1
        elif tail.rows:
            try:
                whole = concat([self.read(service, day, number), table])
            except pa.ArrowInvalid:  # a column has another type than before
                number += 1
        self.write(self.path(service, day, number), whole, everything)
        self.tails[service, day] = Tail(number, whole.num_rows, everything)

    def read(self, service: str, day: str, number: int) -> pa.Table:
        with self.files.open_input_file(self.path(service, day, number)) as file:
            return pq.read_table(file).replace_schema_metadata(None)

    def write(self, path: str, table: pa.Table, covered: dict[str, Position]) -> None:
        """Put a file in its place, whole or not at all."""
        table = table.replace_schema_metadata({COVERED: json.dumps(covered).encode()})
        if not self.is_local:
            self.upload(path, table)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target, mode=0o600) as staging:
            pq.write_table(table, staging, compression="zstd")

    def upload(self, path: str, table: pa.Table) -> None:
        """Put a file on object storage, whole or not at all."""
        whole = pa.BufferOutputStream()
        pq.write_table(table, whole, compression="zstd")
        # Not written piece by piece: a failure in between would close the stream, and the pieces
        # would replace the object.
        with self.files.open_output_stream(path) as stream:
            stream.write(whole.getvalue())

    def remove(self, part: Part) -> None:
        """Remove a file of this server."""
        self.files.delete_file(part.path)
        self.tails.pop((part.service, part.day), None)

    def paths(self, service: str | None = None) -> Iterator[str]:
        """Return the paths of the files, of one service or of all."""
        for part in self.all():
            if service in (None, part.service):
                yield part.path


def concat(tables: list[pa.Table]) -> pa.Table:
    """Return tables as one; a column that one lacks is null there.

    Raises:
        pa.ArrowInvalid: the types of a column don't fit together.
    """
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowTypeError as error:
        raise pa.ArrowInvalid(str(error)) from None


def covered_by(footer: pq.FileMetaData) -> dict[str, Position]:
    """Return how far a file covers each worker's segments."""
    stored = json.loads((footer.metadata or {}).get(COVERED, b"{}"))
    return {worker: (segment, offset) for worker, (segment, offset) in stored.items()}


def part_files(settings: Settings) -> PartFiles:
    """Return the log's files as the settings place them.

    Raises:
        UsageError: the place is none that Arrow's file systems know.
    """
    layout = LogLayout(settings.home)
    server = server_id(layout)
    url = settings.inference_log_url
    if url is None or "://" not in url:
        root = layout.parquet if url is None else Path(url).expanduser().absolute()
        return PartFiles(fs.LocalFileSystem(), str(root), server)
    try:
        files, root_path = fs.FileSystem.from_uri(url)
    except (pa.ArrowInvalid, OSError) as error:
        raise UsageError(
            f"expected a folder or a place such as s3://bucket/prefix in "
            f"POTLUCK_INFERENCE_LOG_URL: {error}"
        ) from None
    return PartFiles(files, unquote(root_path).rstrip("/"), server)


def server_id(layout: LogLayout) -> str:
    """Return what names this home's files in a log that several homes share; made once."""
    try:
        return layout.server_id.read_text().strip()
    except FileNotFoundError:
        write_whole(layout.server_id, secrets.token_hex(ID_BYTES).encode())
        return layout.server_id.read_text().strip()
