"""Bodies of batches that are as costly as 8 MiB can be, each in a way of its own."""

from collections.abc import Callable

MIB = 1 << 20
LARGEST = 8 * MIB
ROOM = 100
"""Bytes that the rest of a body takes."""


def filled(unit: bytes, size: int = LARGEST - ROOM) -> bytes:
    return unit * (size // len(unit))


def keys(size: int) -> bytes:
    """Ever new keys."""
    return b",".join(b'"%06x":0' % number for number in range(size // 11))


def list_of(unit: bytes) -> bytes:
    return filled(unit + b",") + unit


def rows_of(row: bytes) -> bytes:
    """A thousand, or as many as there is room for."""
    count = min(1000, (LARGEST - ROOM) // (len(row) + 1))
    return b",".join([row] * count)


def as_rows(rows: bytes) -> Callable[[bytes], bytes]:
    return lambda name: b'{"%b":[%b]}' % (name, rows)


def as_body(text: bytes) -> Callable[[bytes], bytes]:
    return lambda _: text


NEARLY_A_MIB = MIB - ROOM

HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "zeros": as_rows(list_of(b"0")),
    "empty lists": as_rows(list_of(b"[]")),
    "small objects": as_rows(list_of(b'{"a":0}')),
    "malformed at the last byte": lambda name: as_rows(list_of(b"0"))(name)[:-1] + b"x",
    "a million keys in a row": as_rows(b"{%b}" % keys(LARGEST - ROOM)),
    "a million keys beside the rows": lambda name: b'{"%b":[],%b}' % (name, keys(LARGEST - ROOM)),
    "the list again and again": lambda name: b"{%b}" % list_of(b'"%b":[]' % name),
    "brackets in rows": lambda name: b'{"%b":[' % name + b"[" * (LARGEST - ROOM),
    "brackets": as_body(b"[" * LARGEST),
    "braces": as_body(b"{" * LARGEST),
    "nested objects": as_rows(filled(b'{"a":')),
    "quotes": as_body(b'"' * LARGEST),
    "commas": as_body(b"," * LARGEST),
    "backslashes": as_rows(b'"' + b"\\" * (LARGEST - ROOM)),
    "a giant text": as_rows(b'"%b"' % filled(b"a")),
    "a giant text of escapes": as_rows(b'"%b"' % filled(b"\\n")),
    "a giant key": as_body(b'{"%b":[0]}' % filled(b"\\u00e4")),
    "a giant number": as_rows(filled(b"9")),
    "numbers of a million digits": as_rows(rows_of(b"9" * 1_000_000)),
    "numbers of 4200 digits": as_rows(rows_of(b"9" * 4200)),
    "white space behind": lambda name: as_rows(b"")(name).ljust(LARGEST),
    "white space before a row": as_rows(b" " * (LARGEST - ROOM) + b"0"),
    "line breaks before an error": as_rows(b"\n" * (LARGEST - ROOM) + b"0 0"),
    "white space": as_body(b" " * LARGEST),
    "rows of 8 kB of unknown keys": as_rows(rows_of(b"{%b}" % keys(8200))),
    "rows of 8 kB, the last one malformed": as_rows(rows_of(b"{%b}" % keys(8100)) + b',{"a":]}'),
    "rows of 8 kB of objects": as_rows(rows_of(b'{"a":[%b{}]}' % filled(b"{},", 8200))),
    "rows of a MiB of escapes": as_rows(rows_of(b'{"a":"%b"}' % filled(b"\\n", NEARLY_A_MIB))),
    "rows of a MiB of long keys": as_rows(
        rows_of(b"{%b}" % b",".join(b'"%b%x":0' % (b"\\n" * 55, number) for number in range(8000)))
    ),
    "rows of a MiB of digits": as_rows(rows_of(b'{"a":[%b]}' % b",".join([b"9" * 4200] * 240))),
    "rows of a MiB of commas in a text": as_rows(
        rows_of(b'{"a":"%b"}' % filled(b",[", NEARLY_A_MIB))
    ),
}
