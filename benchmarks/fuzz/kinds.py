"""Kinds of streams: each makes one from a writer of requests."""

import functools
import random
from collections.abc import Callable
from dataclasses import replace

from benchmarks.fuzz.spelling import Writer

UPGRADE_LINES = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAA")
UPGRADE = b"".join([line + b"\r\n" for line in UPGRADE_LINES])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + b"\x00" * 60
LENGTHS = ("", "-1", "+5", "0x10", "1e2", "5, 5", "5 5", "٥", "9" * 20, "18446744073709551616")
ENDS = ("", "?", "?a=b", "?%00", "#x", "/", "//", "/../livez", "%2f", "%00", "%zz", "%ff")
METHODS = ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PRI", "get", "G\x00T")
STARTS = (b"", b"GET ", b"GET / HTTP/1.1\r\n", b"\r\n\r\n", b"\x00", PREFACE, TLS_HELLO)
SIGNS = (b"\r\n", b"\n", b"\r", b"\x00", b" ", b":", b"\r\n\r\n", b"0\r\n")


Kind = Callable[[Writer], bytes]


def marked(kind: Kind) -> Kind:
    """A kind of stream after which a last, good request is sent: the marker."""

    @functools.wraps(kind)
    def with_marker(write: Writer) -> bytes:
        return kind(write) + write.marker()

    return with_marker


@marked
def valid(write: Writer) -> bytes:
    return write.request(write.one())


@marked
def pipelined(write: Writer) -> bytes:
    return write.requests(6)


@marked
def chunked(write: Writer) -> bytes:
    first = write.request(write.post(), chunked=True)
    second = write.request(write.post(), chunked=True)
    return first + second


@marked
def expecting(write: Writer) -> bytes:
    return write.request(write.post(), headers=["expect: 100-continue"])


def of_version_1_0(write: Writer) -> bytes:
    """Without a marker: such a connection may end with its first answer."""
    headers = write.dice.choice(([], ["connection: keep-alive"], ["connection: close"]))
    return write.request(write.one(), version="1.0", headers=headers)


@marked
def absolute(write: Writer) -> bytes:
    call = write.one()
    origin = write.dice.choice(("http://fuzz", "http://other:1", "HTTP://FUZZ"))
    return write.request(replace(call, target=origin + call.target))


@marked
def escaped(write: Writer) -> bytes:
    call = write.one()
    target = "".join([escape(write.dice, character) for character in call.target])
    target += write.dice.choice(ENDS)
    return write.request(replace(call, target=target))


def escape(dice: random.Random, character: str) -> str:
    """One character of a path in five as its code."""
    if character == "/" or dice.random() >= 0.2:
        return character
    return f"%{ord(character):02x}"


@marked
def odd_body(write: Writer) -> bytes:
    call = write.post()
    assert call.body is not None
    body = mutated_bytes(write.dice, call.body)
    return write.request(replace(call, body=body))


@marked
def other_method(write: Writer) -> bytes:
    call = write.one()
    method = write.dice.choice(METHODS)
    return write.request(replace(call, method=method))


@marked
def bad_length(write: Writer) -> bytes:
    call = write.post()
    body = call.body or b""
    more = len(body) + write.dice.randint(1, 9)
    less = len(body) // 2
    wrong = write.dice.choice((*LENGTHS, str(more), str(less)))
    bare = replace(call, body=None)
    return write.request(bare, headers=[f"content-length: {wrong}"]) + body


@marked
def twice(write: Writer) -> bytes:
    """A header that is there already, or one that contradicts another."""
    call = write.post()
    length = len(call.body or b"")
    seconds = (
        "host: other",
        "x-request-id: second",
        f"content-length: {length}",
        f"content-length: {length + 1}",
        "transfer-encoding: chunked",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: identity",
        "connection: close, keep-alive",
        "expect: 100-continue",
        "expect: nothing",
    )
    return write.request(call, headers=[write.dice.choice(seconds)])


@marked
def large_head(write: Writer) -> bytes:
    dice = write.dice
    size = dice.choice((1_000, 8_000, 20_000, 70_000, 150_000))
    call = write.one()
    if dice.random() < 0.3:
        target = call.target + "?" + "a" * size
        return write.request(replace(call, target=target))
    value = "v" * 20
    many = [f"x-{number}: {value}" for number in range(size // 30)]
    long = [f"x-long: {'v' * size}"]
    return write.request(call, headers=dice.choice((many, long)))


@marked
def upgrading(write: Writer) -> bytes:
    """As `curl --http2` and Java's client offer it, ahead of a body."""
    request = write.request(write.one())
    line, _, rest = request.partition(b"\r\n")
    return line + b"\r\n" + UPGRADE + rest


@marked
def other_upgrade(write: Writer) -> bytes:
    name = write.dice.choice(("websocket", "foo", "h2c, websocket", "TLS/1.0"))
    headers = ["connection: upgrade", f"upgrade: {name}"]
    return write.request(write.one(), headers=headers)


def truncated(write: Writer) -> bytes:
    whole = write.requests(3)
    return whole[: write.dice.randint(1, len(whole))]


@marked
def mutated(write: Writer) -> bytes:
    return mutated_bytes(write.dice, write.requests(4))


@marked
def mutated_chunks(write: Writer) -> bytes:
    request = write.request(write.post(), chunked=True)
    return mutated_bytes(write.dice, request)


@marked
def garbage(write: Writer) -> bytes:
    noise = write.dice.randbytes(write.dice.randint(1, 3000))
    return write.dice.choice(STARTS) + noise


def mutated_bytes(dice: random.Random, data: bytes) -> bytes:
    """With one to five changes: bytes flipped, taken out, put in, or a piece repeated."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 5)):
        at = dice.randrange(len(changed) + 1)
        end = min(len(changed), at + dice.randint(1, 20))
        how = dice.randrange(5)
        if how == 0 and at < len(changed):
            changed[at] ^= 1 << dice.randrange(8)
        elif how == 1:
            del changed[at:end]
        elif how == 2:
            changed[at:at] = dice.randbytes(dice.randint(1, 5))
        elif how == 3:
            changed[at:at] = changed[at:end]
        else:
            changed[at:at] = dice.choice(SIGNS)
    return bytes(changed)


STRICT: tuple[Kind, ...] = (
    valid,
    pipelined,
    chunked,
    expecting,
    of_version_1_0,
    absolute,
    odd_body,
    upgrading,
)
LOOSE: tuple[Kind, ...] = (
    escaped,
    other_method,
    bad_length,
    twice,
    large_head,
    other_upgrade,
    truncated,
    mutated,
    mutated_chunks,
    garbage,
)
KINDS = STRICT + LOOSE
