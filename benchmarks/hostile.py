"""Bodies that are made to keep a server busy, none larger than what it reads."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

LARGEST_SINGLE = 1 << 20
LARGEST_BATCH = 8 << 20
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


def hostile_to(path: str, what: str, body: bytes) -> Hostile:
    """A request whose name says where it goes and what its body is."""
    return Hostile(f"{path}: {what}", path, body)


def json_list(items: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


def json_object(fields: Sequence[bytes]) -> bytes:
    return b"{" + b",".join(fields) + b"}"


def repeated(item: bytes, size: int) -> bytes:
    """A list of as many such items as fit."""
    count = (size - 1) // (len(item) + 1)
    return json_list([item] * count)


def nested(size: int) -> bytes:
    depth = size // 2
    return b"[" * depth + b"]" * depth


def nested_objects(size: int) -> bytes:
    depth = (size - 1) // 6
    return b'{"a":' * depth + b"1" + b"}" * depth


def unknown_keys(size: int) -> bytes:
    count = min(UNKNOWN_KEYS, size // 12)
    fields = {f"k{number}": 0 for number in range(count)}
    return json.dumps(fields, separators=(",", ":")).encode()


def same_key(size: int) -> bytes:
    count = (size - 2) // 6
    return json_object([b'"k":0'] * count)


def quoted(item: bytes, size: int) -> bytes:
    """One text of such characters."""
    count = (size - 2) // len(item)
    return b'"' + item * count + b'"'


def integer(size: int) -> bytes:
    return b"7" * size


def fraction(size: int) -> bytes:
    return b"0." + b"7" * (size - 2)


def exponent(size: int) -> bytes:
    return b"1e" + b"9" * (size - 2)


def white_space(size: int) -> bytes:
    return b" " * size


def zero_bytes(size: int) -> bytes:
    return b"\x00" * size


VALUES: Mapping[str, Made] = {
    "zeros": partial(repeated, b"0"),
    "empty lists": partial(repeated, b"[]"),
    "empty objects": partial(repeated, b"{}"),
    "nulls": partial(repeated, b"null"),
    "texts of one character": partial(repeated, b'"a"'),
    "floats of 17 digits": partial(repeated, b"0.12345678901234567"),
    "numbers of 4000 digits": partial(repeated, b"9" * 4000),
    "lists in lists": nested,
    "objects in objects": nested_objects,
    "unknown keys": unknown_keys,
    "one key again and again": same_key,
    "one text": partial(quoted, b"a"),
    "one text of escapes": partial(quoted, rb"\u0041"),
    "one text of escaped pairs": partial(quoted, rb"\ud83d\ude00"),
    "one text of 4-byte characters": partial(quoted, "😀".encode()),
    "one text of wrong bytes": partial(quoted, b"\xff"),
    "one integer": integer,
    "one fraction": fraction,
    "one exponent": exponent,
    "white space": white_space,
    "zero bytes": zero_bytes,
}


def batch(name: str, value: bytes) -> bytes:
    return b'{"%b":%b}' % (name.encode(), value)


def padded(record: Record, size: int, field: str) -> bytes:
    """A record with one text that makes it as large as asked for."""
    bare = json.dumps({**record, field: ""}).encode()
    text = "x" * max(0, size - len(bare))
    return json.dumps({**record, field: text}).encode()


def rows(record: Record, size: int, field: str) -> bytes:
    """As many rows as a batch takes, each with a long text."""
    row = padded(record, size // ROWS - 2, field)
    return json_list([row] * ROWS)


def broken_at_its_end(body: bytes) -> bytes:
    return body[:-1] + b"!"


def for_predict(service: str, record: Record, text: str | None) -> Iterator[Hostile]:
    """Bodies for one record; `text` is a field that takes a text, if there is one."""
    path = f"/predict/{service}"
    for name, make in VALUES.items():
        yield hostile_to(path, name, make(LARGEST_SINGLE))
    first = next(iter(record))
    for field in (first, text or UNKNOWN):
        body = padded(record, LARGEST_SINGLE, field)
        yield hostile_to(path, f"a record with a long text under {field}", body)
    whole = json.dumps(record).encode().rjust(LARGEST_SINGLE)
    yield hostile_to(path, "a record after white space", whole)
    yield hostile_to(path, "broken at its last byte", broken_at_its_end(whole))
    too_large = VALUES["zeros"](LARGEST_BATCH)
    yield hostile_to(path, "larger than a record may be", too_large)


def for_batch(service: str, record: Record, text: str | None) -> Iterator[Hostile]:
    """Bodies for many records."""
    path = f"/predict/{service}/batch"
    room = LARGEST_BATCH - len(batch(RECORDS, b""))
    for name, make in VALUES.items():
        yield hostile_to(path, name, batch(RECORDS, make(room)))
    for name, lists in chain(few_rows(room), many_rows(record, room, text)):
        yield hostile_to(path, name, batch(RECORDS, lists))
    row = json.dumps(record).encode()
    good = batch(RECORDS, json_list([row] * ROWS))
    yield hostile_to(path, f"{ROWS} good rows", good)
    yield hostile_to(path, f"{ROWS} good rows after white space", good.rjust(LARGEST_BATCH))
    field = text or next(iter(record))
    last = batch(RECORDS, rows(record, room, field))
    yield hostile_to(path, "broken at its last byte", broken_at_its_end(last))
    yield hostile_to(path, "the list again and again", list_again_and_again())


def list_again_and_again() -> bytes:
    """A batch that names its list as often as fits."""
    once = b'"dataframe_records":[]'
    count = LARGEST_BATCH // (len(once) + 1) - 1
    return json_object([once] * count)


def few_rows(room: int) -> Iterator[tuple[str, bytes]]:
    """One row as large as all."""
    for name in ("unknown keys", "one text", "lists in lists", "one key again and again", "zeros"):
        row = VALUES[name](room - 2)
        yield f"one row of {name}", json_list([row])


def many_rows(record: Record, room: int, text: str | None) -> Iterator[tuple[str, bytes]]:
    """As many rows as a batch takes, all of them large."""
    first = next(iter(record))
    fields = dict.fromkeys((first, text or UNKNOWN, UNKNOWN))  # each once, in this order
    for field in fields:
        yield f"{ROWS} rows with a long text under {field}", rows(record, room, field)
    for name in ("unknown keys", "zeros", "one key again and again"):
        row = VALUES[name](8000)
        yield f"{ROWS} rows of {name}", repeated(row, room)


def for_lookups(service: str, ids: Sequence[Any]) -> Iterator[Hostile]:
    """Bodies for the look-up of many ids."""
    path = f"/lookup/{service}"
    room = LARGEST_BATCH - 16
    for name, make in VALUES.items():
        yield hostile_to(path, name, batch("ids", make(room)))
    for name in ("one text", "one integer", "numbers of 4000 digits"):
        value = VALUES[name](8000)
        body = batch("ids", repeated(value, room))
        yield hostile_to(path, f"{ROWS} ids of {name}", body)
    known = [ids[number % len(ids)] for number in range(ROWS)]
    body = json.dumps({"ids": known}).encode()
    yield hostile_to(path, f"{ROWS} known ids", body)
    broken = broken_at_its_end(body.rjust(room))
    yield hostile_to(path, "broken at its last byte", broken)
