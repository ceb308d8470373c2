"""Byte streams for one connection, valid and otherwise, each made from a seed and a number alone."""

import base64
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.fuzz.calls import Call, some

MARKER = "marker"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAA\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + b"\x00" * 60
LENGTHS = ("", "-1", "+5", "0x10", "1e2", "5, 5", "99999999999999999999", "18446744073709551616", "5 5", "٥")
METHODS = ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PRI", "get", "G\x00T")
EXTRA = (
    *("accept: */*", "user-agent: fuzz", "cookie: a=b; c=d", "content-type: text/plain", "te: trailers"),
    *("accept-encoding: gzip", "origin: null", "x-empty:", "x-folded: a\tb", "content-encoding: gzip"),
)


@dataclass(frozen=True)
class Case:
    """What is sent on one connection, in these pieces.

    `peer` is what the plain server is sent instead, where it is known to mishandle the stream itself. A `strict`
    case is answered alike to the last byte; in another one, requests ahead of what is no HTTP may be cut off.
    """

    kind: str
    number: int
    pieces: tuple[bytes, ...]
    peer: tuple[bytes, ...] | None = None
    strict: bool = False

    @property
    def sent(self) -> bytes:
        return b"".join(self.pieces)


class Writer:
    """Spells requests of one case, each with an id of its own."""

    def __init__(self, dice: random.Random, calls: Sequence[Call], number: int) -> None:
        self.dice, self.calls, self.number = dice, calls, number
        self.written = 0

    def request(self, call: Call, *, version: str = "1.1", headers: Sequence[str] = (), chunked: bool = False) -> bytes:
        """One request, well formed but for what the arguments bring in."""
        self.written += 1
        lines = [f"{call.method} {call.target} HTTP/{version}", "host: fuzz"]
        lines.append(f"x-request-id: c{self.number}-{self.written}")
        lines += [*headers, *self.dice.sample(EXTRA, self.dice.randint(0, 3))]
        body = call.body or b""
        if chunked:
            lines.append("transfer-encoding: chunked")
            body = in_chunks(self.dice, body)
        elif call.body is not None:
            lines.append(f"content-length: {len(body)}")
        return head_of(self.dice, lines) + body

    def some(self, most: int) -> list[Call]:
        return some(self.dice, self.calls, most)

    def one(self) -> Call:
        return self.dice.choice(self.calls)

    def post(self) -> Call:
        return self.dice.choice([call for call in self.calls if call.body])

    def marker(self) -> bytes:
        """A last request: its answer shows that nothing before it was misread."""
        lines = ["GET /livez HTTP/1.1", "host: fuzz", f"x-request-id: {MARKER}-{self.number}"]
        return ("\r\n".join(lines) + "\r\nconnection: close\r\n\r\n").encode()


def head_of(dice: random.Random, lines: Sequence[str]) -> bytes:
    """Request line and headers; names in any case, values with spaces around them."""
    spelled = [lines[0]]
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name = dice.choice((name, name.title(), name.upper()))
        spelled.append(f"{name}:{dice.choice(('', ' ', '  '))}{value.strip()}{dice.choice(('', ' '))}")
    return ("\r\n".join(spelled) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def in_chunks(dice: random.Random, body: bytes) -> bytes:
    parts = []
    while body:
        size = dice.randint(1, max(1, min(len(body), 400)))
        extension = dice.choice((b"", b"", b";x=y"))
        parts.append(b"%x%b\r\n%b\r\n" % (size, extension, body[:size]))
        body = body[size:]
    trailer = dice.choice((b"", b"", b"x-trailer: 1\r\n"))
    return b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


def valid(write: Writer) -> bytes:
    return write.request(write.one()) + write.marker()


def pipelined(write: Writer) -> bytes:
    return b"".join(map(write.request, write.some(6))) + write.marker()


def chunked(write: Writer) -> bytes:
    return b"".join(write.request(write.post(), chunked=True) for _ in range(2)) + write.marker()


def expecting(write: Writer) -> bytes:
    return write.request(write.post(), headers=["expect: 100-continue"]) + write.marker()


def of_version_1_0(write: Writer) -> bytes:
    headers = write.dice.choice(([], ["connection: keep-alive"], ["connection: close"]))
    return write.request(write.one(), version="1.0", headers=headers)


def absolute(write: Writer) -> bytes:
    call = write.one()
    target = write.dice.choice(("http://fuzz", "http://other:1", "HTTP://FUZZ")) + call.target
    return write.request(replace(call, target=target)) + write.marker()


def escaped(write: Writer) -> bytes:
    call = write.one()
    target = "".join(f"%{ord(c):02x}" if write.dice.random() < 0.2 and c != "/" else c for c in call.target)
    target += write.dice.choice(("", "?", "?a=b", "?%00", "#x", "/", "//", "/../livez", "%2f", "%00", "%zz", "%ff"))
    return write.request(replace(call, target=target)) + write.marker()


def odd_body(write: Writer) -> bytes:
    call = write.post()
    assert call.body is not None
    return write.request(replace(call, body=mutated_bytes(write.dice, call.body))) + write.marker()


def other_method(write: Writer) -> bytes:
    call = replace(write.one(), method=write.dice.choice(METHODS))
    return write.request(call) + write.marker()


def bad_length(write: Writer) -> bytes:
    call = write.post()
    body = call.body or b""
    wrong = write.dice.choice((*LENGTHS, str(len(body) + write.dice.randint(1, 9)), str(len(body) // 2)))
    bare = write.request(replace(call, body=None), headers=[f"content-length: {wrong}"])
    return bare + body + write.marker()


def twice(write: Writer) -> bytes:
    call = write.post()
    length = len(call.body or b"")
    pairs = (
        *("host: other", "x-request-id: second", f"content-length: {length}", f"content-length: {length + 1}"),
        *("transfer-encoding: chunked", "transfer-encoding: gzip, chunked", "transfer-encoding: identity"),
        *("connection: close, keep-alive", "expect: 100-continue", "expect: nothing"),
    )
    return write.request(call, headers=[write.dice.choice(pairs)]) + write.marker()


def large_head(write: Writer) -> bytes:
    dice = write.dice
    size = dice.choice((1_000, 8_000, 20_000, 70_000, 150_000))
    call = write.one()
    if dice.random() < 0.3:
        return write.request(replace(call, target=call.target + "?" + "a" * size)) + write.marker()
    many = [f"x-{number}: {'v' * 20}" for number in range(size // 30)]
    return write.request(call, headers=dice.choice((many, [f"x-long: {'v' * size}"]))) + write.marker()


def upgrading(write: Writer) -> bytes:
    """As `curl --http2` and Java's client offer it, ahead of a body."""
    request = write.request(write.one())
    line, _, rest = request.partition(b"\r\n")
    return line + b"\r\n" + UPGRADE + rest + write.marker()


def other_upgrade(write: Writer) -> bytes:
    name = write.dice.choice(("websocket", "foo", "h2c, websocket", "TLS/1.0"))
    headers = ["connection: upgrade", f"upgrade: {name}"]
    return write.request(write.one(), headers=headers) + write.marker()


def truncated(write: Writer) -> bytes:
    whole = b"".join(map(write.request, write.some(3)))
    return whole[: write.dice.randint(1, len(whole))]


def mutated(write: Writer) -> bytes:
    return mutated_bytes(write.dice, b"".join(map(write.request, write.some(4)))) + write.marker()


def mutated_chunks(write: Writer) -> bytes:
    return mutated_bytes(write.dice, write.request(write.post(), chunked=True)) + write.marker()


def garbage(write: Writer) -> bytes:
    noise = write.dice.randbytes(write.dice.randint(1, 3000))
    start = write.dice.choice((b"", b"GET ", PREFACE, TLS_HELLO, b"\r\n\r\n", b"GET / HTTP/1.1\r\n", b"\x00"))
    return start + noise + write.marker()


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
            changed[at:at] = dice.choice((b"\r\n", b"\n", b"\r", b"\x00", b" ", b":", b"\r\n\r\n", b"0\r\n"))
    return bytes(changed)


Kind = Callable[[Writer], bytes]
STRICT: tuple[Kind, ...] = (valid, pipelined, chunked, expecting, of_version_1_0, absolute, odd_body, upgrading)
LOOSE: tuple[Kind, ...] = (
    *(escaped, other_method, bad_length, twice, large_head, other_upgrade),
    *(truncated, mutated, mutated_chunks, garbage),
)
KINDS = STRICT + LOOSE


def case(seed: int, number: int, calls: Sequence[Call]) -> Case:
    """The case of this number; the same each time."""
    dice = random.Random(f"{seed}-{number}")
    kind = KINDS[number % len(KINDS)]
    data = kind(Writer(dice, calls, number))
    pieces = split(dice, data)
    peer = (data.replace(UPGRADE, b""),) if kind is upgrading else None
    return Case(kind.__name__, number, pieces, peer, kind in STRICT)


def split(dice: random.Random, data: bytes) -> tuple[bytes, ...]:
    """As one piece, at some points, or byte by byte at its beginning."""
    how = dice.randrange(4)
    if how < 2:
        return (data,)
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randint(1, 6)))
    if how == 3:
        cuts = list(range(1, min(len(data), 40)))
    return tuple(data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b)


def save(case: Case, folder: Path) -> Path:
    """Write a case to a file that `--replay` takes."""
    told: Mapping[str, object] = {
        "kind": case.kind,
        "number": case.number,
        "strict": case.strict,
        "pieces": [base64.b64encode(piece).decode() for piece in case.pieces],
        "peer": case.peer and [base64.b64encode(piece).decode() for piece in case.peer],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.kind}-{case.number}.json"
    path.write_text(json.dumps(told, indent=1) + "\n")
    return path


def load(path: Path) -> Case:
    told = json.loads(path.read_text())
    pieces = tuple(map(base64.b64decode, told["pieces"]))
    peer = tuple(map(base64.b64decode, told["peer"])) if told["peer"] else None
    return Case(told["kind"], told["number"], pieces, peer, told["strict"])
