"""Rows of JSON: one record a line, or one array of records."""

import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, TextIO

from cli.client.records import CHUNK, LARGEST_RECORD, Row, RowFormat, Unreadable, to_record
from potluck.contract.errors import DataError

SEPARATORS = re.compile(r"[\s,]*")
DECODER = json.JSONDecoder()


def json_lines(text: TextIO, row_format: RowFormat) -> Iterator[Row]:
    """The records of lines, or one record over several lines."""
    head = text.readline()
    if not is_json(head):
        # The first of several lines of one record, or a line that is not JSON.
        head += text.read(LARGEST_RECORD) + text.readline()
        if is_json(head):
            yield parse_line(head, row_format)
            return
    for line in chain(io.StringIO(head), text):
        if line.strip():
            yield parse_line(line, row_format)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def parse_line(line: str, row_format: RowFormat) -> Row:
    try:
        return to_record(json.loads(line), row_format)
    except json.JSONDecodeError as error:
        return Unreadable(f"not valid JSON: {error.msg} at character {error.pos + 1}")
    except (ValueError, RecursionError) as error:
        return Unreadable(f"not valid JSON: {error}")


def json_array(text: TextIO, row_format: RowFormat) -> Iterator[Row]:
    """The elements of one array; no more than a part of the file is held at a time.

    Raises:
        DataError: an element is not JSON; where it ends, nobody can tell.
    """
    buffer, done = text.read(CHUNK).lstrip(), 0
    at = 1  # behind the bracket
    at_end_of_file = False
    while True:
        at = end_of_separators(buffer, at)
        if buffer.startswith("]", at):
            check_rest(buffer[at + 1 :] + text.read(CHUNK))
            return
        value, end = value_at(buffer, at)
        # Where the buffer ends with a value, that may go on: 12 may be the beginning of 123.
        is_whole = at < end and (end < len(buffer) or at_end_of_file)
        if is_whole:
            yield to_record(value, row_format)
            at, done = end, done + 1
        elif at_end_of_file or len(buffer) - at > LARGEST_RECORD + CHUNK:
            raise DataError(
                f"expected a JSON array of records; after record {done} it can't be read"
            )
        else:
            more = text.read(CHUNK)
            buffer, at, at_end_of_file = buffer[at:] + more, 0, not more


def value_at(buffer: str, at: int) -> tuple[Any, int]:
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
