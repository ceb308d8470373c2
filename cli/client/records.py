"""A row of a file, as the JSON record that the server takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LARGEST_RECORD = 1 << 20
"""Bytes."""
CHUNK = 1 << 16
"""Characters of a file that are read at once."""


@dataclass(frozen=True)
class Unreadable:
    """A row that is not a record, and why."""

    reason: str


Row = bytes | Unreadable
"""One record as JSON, or why there is none."""


@dataclass(frozen=True)
class RowFormat:
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


def to_record(value: Any, row_format: RowFormat) -> Row:
    """Write a parsed value as the server takes it."""
    if not isinstance(value, dict):
        found = type(value).__name__
        return Unreadable(f'expected a record such as {{"field": 1}}, got a JSON {found}')
    if row_format.only_known:
        row_format.dropped.update(set(value) - set(row_format.dtypes))
        value = {name: cell for name, cell in value.items() if name in row_format.dtypes}
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        body = text.encode()
    except UnicodeEncodeError:
        return Unreadable(f"not text in {row_format.encoding}; name another --encoding")
    except (ValueError, RecursionError):
        return Unreadable("NaN and Infinity are no JSON; leave the field out, or write null")
    if len(body) > LARGEST_RECORD:
        return Unreadable(f"larger than {LARGEST_RECORD >> 20} MiB")
    return body
