"""Rows of a file or of standard input, one after the other, each as the JSON record that the server takes.

CSV with a header, JSON lines, or one JSON array of records: the first character tells which. A row that can't be read
is an answer in its place, and the next one is read all the same.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, BinaryIO, TextIO

from potluck.contract.errors import DataError, UsageError

DELIMITERS = ",;\t|"
WHOLE_NUMBER = re.compile(r"([+-]?[0-9]+)(\.0*)?")
TRUTH = {"true": True, "false": False, "1": True, "0": False}
CHUNK = 1 << 16
LARGEST_RECORD = 1 << 20
SEPARATORS = re.compile(r"[\s,]*")
NAMED = 10
DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Unreadable:
    """A row that is no record, and why."""

    reason: str


Row = bytes | Unreadable
"""One record as JSON, or why there is none."""


@dataclass(frozen=True)
class Reading:
    """How rows are read."""

    dtypes: Mapping[str, str]
    """Field that the service takes -> its type."""
    missing: frozenset[str] = frozenset()
    """Cells of a CSV that mean a missing value, besides the empty one."""
    encoding: str = "utf-8"
    only_known: bool = False
    """Leave out what the service does not take, instead of refusing it."""
    service: str = ""
    dropped: set[str] = field(default_factory=set)
    """Names that were left out so far."""


def read_rows(stream: BinaryIO, reading: Reading) -> Iterator[Row]:
    """Read rows as they are asked for.

    Raises:
        UsageError: the stream holds another kind of file, or columns that the service does not take.
        DataError: it is empty, or from here on it can't be read.
    """
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    start = buffered.peek(CHUNK).removeprefix(b"\xef\xbb\xbf").lstrip()[:4]
    if not start:
        raise DataError("expected rows, got an empty file")
    if start == b"PAR1":
        raise UsageError(
            "expected CSV, JSON lines or a JSON array of records, got a parquet file; write it as CSV"
        )
    # What is no text in this encoding becomes a lone surrogate, and spoils its own row alone.
    encoding = "utf-8-sig" if reading.encoding == "utf-8" else reading.encoding
    text = io.TextIOWrapper(buffered, encoding=encoding, errors="surrogateescape", newline="")
    kinds: dict[bytes, Callable[[TextIO, Reading], Iterator[Row]]] = {
        b"{": json_lines,
        b"[": json_array,
    }
    return kinds.get(start[:1], csv_rows)(text, reading)


def json_lines(text: TextIO, reading: Reading) -> Iterator[Row]:
    head = text.readline()
    if not is_json(head):  # one record over several lines, or a first line that is none
        head += text.read(LARGEST_RECORD) + text.readline()
        if is_json(head):
            yield parsed(head, reading)
            return
    for line in chain(io.StringIO(head), text):
        if line.strip():
            yield parsed(line, reading)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def parsed(line: str, reading: Reading) -> Row:
    try:
        return as_record(json.loads(line), reading)
    except json.JSONDecodeError as error:
        return Unreadable(f"not valid JSON: {error.msg} at character {error.pos + 1}")
    except (ValueError, RecursionError) as error:
        return Unreadable(f"not valid JSON: {error}")


def as_record(value: Any, reading: Reading) -> Row:
    """A parsed value as the server takes it."""
    if not isinstance(value, dict):
        return Unreadable(
            f'expected a record such as {{"field": 1}}, got a JSON {type(value).__name__}'
        )
    if reading.only_known:
        reading.dropped.update(set(value) - set(reading.dtypes))
        value = {name: cell for name, cell in value.items() if name in reading.dtypes}
    try:
        body = json.dumps(
            value, allow_nan=False, ensure_ascii=False, separators=(",", ":")
        ).encode()
    except UnicodeEncodeError:
        return Unreadable(f"not text in {reading.encoding}; name another --encoding")
    except (ValueError, RecursionError):
        return Unreadable("NaN and Infinity are no JSON; leave the field out, or write null")
    if len(body) > LARGEST_RECORD:
        return Unreadable(f"larger than {LARGEST_RECORD >> 20} MiB")
    return body


def json_array(text: TextIO, reading: Reading) -> Iterator[Row]:
    """The elements of one array, a part of the file at a time.

    Raises:
        DataError: an element is no JSON; where it ends, nobody can tell.
    """
    buffer, at, done, last = text.read(CHUNK).lstrip(), 1, 0, False  # behind the bracket
    while True:
        at = end_of_separators(buffer, at)
        if buffer.startswith("]", at):
            check_rest(buffer[at + 1 :] + text.read(CHUNK))
            return
        value, end = decoded(buffer, at)
        if at < end < len(buffer) or (
            last and at < end
        ):  # where a part ends, 12 may be the beginning of 123
            yield as_record(value, reading)
            at, done = end, done + 1
        elif last or len(buffer) - at > LARGEST_RECORD + CHUNK:
            raise DataError(
                f"expected a JSON array of records; after record {done} it can't be read"
            )
        else:
            more = text.read(CHUNK)
            buffer, at, last = buffer[at:] + more, 0, not more


def decoded(buffer: str, at: int) -> tuple[Any, int]:
    """The JSON value that begins here, and where it ends: at its beginning, if there is none."""
    try:
        return DECODER.raw_decode(buffer, at)
    except (ValueError, RecursionError):
        return None, at


def check_rest(text: str) -> None:
    if text.strip():
        raise DataError(
            "expected nothing after the array of records; write JSON lines, or one array"
        )


def end_of_separators(buffer: str, at: int) -> int:
    found = SEPARATORS.match(buffer, at)
    return at if found is None else found.end()


def csv_rows(text: TextIO, reading: Reading) -> Iterator[Row]:
    """The rows below a header, each cell in its field's type.

    Raises:
        UsageError: the header names a column twice, or one that the service does not take.
    """
    first = text.readline()
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(chain([first], text), delimiter=delimiter)
    header = [name.strip() for name in next(reader)]
    check_header(header, reading)
    taken = [(place, name) for place, name in enumerate(header) if name in reading.dtypes]
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Unreadable(f"not valid CSV: {error}")
            continue
        if cells:
            yield csv_row(cells, header, taken, reading)


def csv_row(
    cells: Sequence[str], header: Sequence[str], taken: Sequence[tuple[int, str]], reading: Reading
) -> Row:
    if len(cells) != len(header):
        return Unreadable(f"expected {len(header)} cells, as the header has, got {len(cells)}")
    record = {}
    for place, name in taken:
        cell = cells[place].strip()
        missing = not cell or cell in reading.missing
        record[name] = None if missing else typed_cell(cell, reading.dtypes[name])
    return as_record({name: value for name, value in record.items() if value is not None}, reading)


def check_header(header: Sequence[str], reading: Reading) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UsageError(
            f"expected a header that names each column once, got {', '.join(twice)} more than once"
        )
    unknown = [name for name in header if name not in reading.dtypes]
    if len(unknown) == len(header):
        raise UsageError(
            f"expected a header with fields of {reading.service} ({', '.join(reading.dtypes)}), got {shown(header)}"
        )
    if unknown and not reading.only_known:
        raise UsageError(
            f"{reading.service} takes no {shown(unknown)}; --only-known leaves such columns out. "
            f"It takes: {', '.join(reading.dtypes)}"
        )
    reading.dropped.update(unknown)


def shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]).encode(errors="replace").decode() + more


def typed_cell(text: str, dtype: str) -> Any:
    """A cell's value; what does not fit stays text, so that the server refuses the row and names the field."""
    if dtype in ("int64", "int32"):
        whole = WHOLE_NUMBER.fullmatch(text)
        return int(whole[1]) if whole and len(text) < CHUNK else text
    if dtype == "float64":
        return number_or_text(text)
    return TRUTH.get(text.lower(), text) if dtype == "bool" else text


def number_or_text(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text
