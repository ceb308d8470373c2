"""Bodies that are made to keep a server busy, none larger than what it reads."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

LARGEST_SINGLE, LARGEST_BATCH = 1 << 20, 8 << 20
"""Bytes of a body that are read, as the HTTP contract says."""
ROWS = 1000
"""Most rows of a batch."""
RECORDS = "dataframe_records"
UNKNOWN = "nothing of that name"
UNKNOWN_KEYS = 700_000

Record = Mapping[str, Any]
Made = Callable[[int], bytes]
"""A JSON value, or what is none, of at most so many bytes."""


@dataclass(frozen=True)
class Hostile:
    """One request's path and body."""

    name: str
    path: str
    body: bytes


def repeated(item: bytes, size: int) -> bytes:
    """A list of as many such items as fit."""
    count = (size - 1) // (len(item) + 1)
    return b"[" + b",".join([item] * count) + b"]"


def nested(size: int) -> bytes:
    return b"[" * (size // 2) + b"]" * (size // 2)


def nested_objects(size: int) -> bytes:
    depth = (size - 1) // 6
    return b'{"a":' * depth + b"1" + b"}" * depth


def unknown_keys(size: int) -> bytes:
    count = min(UNKNOWN_KEYS, size // 12)
    return json.dumps({f"k{n}": 0 for n in range(count)}, separators=(",", ":")).encode()


def same_key(size: int) -> bytes:
    return b"{" + b",".join([b'"k":0'] * ((size - 2) // 6)) + b"}"


def quoted(item: bytes, size: int) -> bytes:
    """One text of such characters."""
    return b'"' + item * ((size - 2) // len(item)) + b'"'


VALUES: Mapping[str, Made] = {
    "zeros": lambda size: repeated(b"0", size),
    "empty lists": lambda size: repeated(b"[]", size),
    "empty objects": lambda size: repeated(b"{}", size),
    "nulls": lambda size: repeated(b"null", size),
    "texts of one character": lambda size: repeated(b'"a"', size),
    "floats of 17 digits": lambda size: repeated(b"0.12345678901234567", size),
    "numbers of 4000 digits": lambda size: repeated(b"9" * 4000, size),
    "lists in lists": nested,
    "objects in objects": nested_objects,
    "unknown keys": unknown_keys,
    "one key again and again": same_key,
    "one text": lambda size: quoted(b"a", size),
    "one text of escapes": lambda size: quoted(rb"\u0041", size),
    "one text of escaped pairs": lambda size: quoted(rb"\ud83d\ude00", size),
    "one text of 4-byte characters": lambda size: quoted("😀".encode(), size),
    "one text of wrong bytes": lambda size: quoted(b"\xff", size),
    "one integer": lambda size: b"7" * size,
    "one fraction": lambda size: b"0." + b"7" * (size - 2),
    "one exponent": lambda size: b"1e" + b"9" * (size - 2),
    "white space": lambda size: b" " * size,
    "zero bytes": lambda size: b"\x00" * size,
}


def batch(name: str, value: bytes) -> bytes:
    return b'{"%b":%b}' % (name.encode(), value)


def padded(record: Record, size: int, field: str) -> bytes:
    """A record with one text that makes it as large as asked for."""
    bare = json.dumps({**record, field: ""}).encode()
    return json.dumps({**record, field: "x" * max(0, size - len(bare))}).encode()


def rows(record: Record, size: int, field: str) -> bytes:
    """As many rows as a batch takes, each with a long text."""
    row = padded(record, size // ROWS - 2, field)
    return b"[" + b",".join([row] * ROWS) + b"]"


def broken_at_its_end(body: bytes) -> bytes:
    return body[:-1] + b"!"


def for_predict(service: str, record: Record, text: str | None) -> Iterator[Hostile]:
    """Bodies for one record; `text` is a field that takes a text, if there is one."""
    path = f"/predict/{service}"
    for name, make in VALUES.items():
        yield Hostile(f"{path}: {name}", path, make(LARGEST_SINGLE))
    for field in (next(iter(record)), text or UNKNOWN):
        body = padded(record, LARGEST_SINGLE, field)
        yield Hostile(f"{path}: a record with a long text under {field}", path, body)
    whole = json.dumps(record).encode().rjust(LARGEST_SINGLE)
    yield Hostile(f"{path}: a record after white space", path, whole)
    yield Hostile(f"{path}: broken at its last byte", path, broken_at_its_end(whole))
    too_large = VALUES["zeros"](LARGEST_BATCH)
    yield Hostile(f"{path}: larger than a record may be", path, too_large)


def for_batch(service: str, record: Record, text: str | None) -> Iterator[Hostile]:
    """Bodies for many records."""
    path, room = f"/predict/{service}/batch", LARGEST_BATCH - len(batch(RECORDS, b""))
    for name, lists in chain(values(room), few_rows(room), many_rows(record, room, text)):
        yield Hostile(f"{path}: {name}", path, batch(RECORDS, lists))
    full = b"[" + b",".join([json.dumps(record).encode()] * ROWS) + b"]"
    good = batch(RECORDS, full)
    yield Hostile(f"{path}: {ROWS} good rows", path, good)
    yield Hostile(f"{path}: {ROWS} good rows after white space", path, good.rjust(LARGEST_BATCH))
    last = batch(RECORDS, rows(record, room, text or next(iter(record))))
    yield Hostile(f"{path}: broken at its last byte", path, broken_at_its_end(last))
    once = b'"dataframe_records":[]'
    twice = b"{" + b",".join([once] * (LARGEST_BATCH // (len(once) + 1) - 1)) + b"}"
    yield Hostile(f"{path}: the list again and again", path, twice)


def values(room: int) -> Iterator[tuple[str, bytes]]:
    return ((name, make(room)) for name, make in VALUES.items())


def few_rows(room: int) -> Iterator[tuple[str, bytes]]:
    """One row as large as all."""
    for name in ("unknown keys", "one text", "lists in lists", "one key again and again", "zeros"):
        yield f"one row of {name}", b"[" + VALUES[name](room - 2) + b"]"


def many_rows(record: Record, room: int, text: str | None) -> Iterator[tuple[str, bytes]]:
    """As many rows as a batch takes, all of them large."""
    for field in dict.fromkeys((next(iter(record)), text or UNKNOWN, UNKNOWN)):
        yield f"{ROWS} rows with a long text under {field}", rows(record, room, field)
    for name in ("unknown keys", "zeros", "one key again and again"):
        yield f"{ROWS} rows of {name}", repeated(VALUES[name](8000), room)


def for_lookups(service: str, ids: Sequence[Any]) -> Iterator[Hostile]:
    path, room = f"/lookup/{service}", LARGEST_BATCH - 16
    for name, make in VALUES.items():
        yield Hostile(f"{path}: {name}", path, batch("ids", make(room)))
    for name in ("one text", "one integer", "numbers of 4000 digits"):
        body = batch("ids", repeated(VALUES[name](8000), room))
        yield Hostile(f"{path}: {ROWS} ids of {name}", path, body)
    known = [ids[n % len(ids)] for n in range(ROWS)]
    body = json.dumps({"ids": known}).encode()
    yield Hostile(f"{path}: {ROWS} known ids", path, body)
    yield Hostile(f"{path}: broken at its last byte", path, broken_at_its_end(body.rjust(room)))
