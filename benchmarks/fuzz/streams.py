"""Byte streams for one connection, valid and otherwise, made from a seed and a number alone."""

import base64
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.calls import Call
from benchmarks.fuzz.kinds import KINDS, STRICT, UPGRADE, upgrading
from benchmarks.fuzz.spelling import Writer


@dataclass(frozen=True)
class Case:
    """What is sent on one connection, in these pieces.

    `peer` is what the plain server is sent instead, where it is known to mishandle the stream.
    A `strict` case is answered alike to the last byte; in another one, requests ahead of what is no
    HTTP may be cut off.
    """

    kind: str
    number: int
    pieces: tuple[bytes, ...]
    peer: tuple[bytes, ...] | None = None
    strict: bool = False

    @property
    def sent(self) -> bytes:
        return b"".join(self.pieces)


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
    count = dice.randint(1, 6)
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(count))
    if how == 3:
        cuts = list(range(1, min(len(data), 40)))
    pieces, start = [], 0
    for end in (*cuts, len(data)):
        if start < end:
            pieces.append(data[start:end])
        start = end
    return tuple(pieces)


def save(case: Case, folder: Path) -> Path:
    """Write a case to a file that `--replay` takes."""
    told: Mapping[str, object] = {
        "kind": case.kind,
        "number": case.number,
        "strict": case.strict,
        "pieces": as_texts(case.pieces),
        "peer": case.peer and as_texts(case.peer),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.kind}-{case.number}.json"
    path.write_text(json.dumps(told, indent=1) + "\n")
    return path


def as_texts(pieces: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(piece).decode() for piece in pieces]


def as_pieces(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(map(base64.b64decode, texts))


def load(path: Path) -> Case:
    """Read a case that `save` wrote."""
    told = json.loads(path.read_text())
    peer = as_pieces(told["peer"]) if told["peer"] else None
    return Case(
        kind=told["kind"],
        number=told["number"],
        pieces=as_pieces(told["pieces"]),
        peer=peer,
        strict=told["strict"],
    )
