"""What came back on a connection, answer by answer, held against what a plain server sent."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.fuzz.streams import Case

START = re.compile(rb"(?=HTTP/1\.[01] \d{3} )")
OWN_ID = re.compile(r"[0-9a-f]{32}")
VARYING = ("date", "x-request-id", "content-length", "retry-after")
VARYING_FIELDS = ("request_id", "age_seconds")
PORT = re.compile(r":\d+")
AGES = re.compile(rb'"age_seconds":[0-9.e+-]+')
REFUSALS = frozenset({400, 408, 413, 414, 431})
"""What a protocol answers before it closes the connection."""
UPGRADES = re.compile(rb"upgrade", re.IGNORECASE)
LARGEST_HEAD = 8 << 10
"""Bytes of a head that no limit of Potluck's refuses."""


@dataclass(frozen=True)
class Answer:
    """One answer, without what differs between two servers by nature."""

    status: int
    request_id: str
    headers: Mapping[str, str]
    body: bytes
    whole: bool
    """Whether the body has the length that the head announced, or none at all, as after HEAD."""

    @property
    def refusal(self) -> bool:
        return self.status in REFUSALS and self.headers.get("connection") == "close"


def answers_of(received: bytes) -> list[Answer]:
    """The answers of a connection; text before the first one counts as an answer that is none."""
    return [parse_answer(part) for part in START.split(received) if part]


def parse_answer(part: bytes) -> Answer:
    """One answer, from its first byte to the next one's."""
    head, _, body = part.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = parse_headers(lines)
    status = int(first[9:12]) if START.match(part) else 0
    request_id = headers.get("x-request-id", "")
    if OWN_ID.fullmatch(request_id):
        request_id = ""  # the server's own, another one each time
    kept = {}
    for name, value in headers.items():
        if name not in VARYING:
            kept[name] = comparable_value(name, value)
    whole = not body or has_announced_length(body, headers)
    if status == 200 and headers.get("content-type", "").startswith("text/plain"):
        comparable = b""  # metrics, which count what was asked before
    else:
        comparable = plain(body)
    return Answer(status, request_id, kept, comparable, whole)


def parse_headers(lines: Sequence[str]) -> dict[str, str]:
    """Name in small letters -> value; lines that are no header are left out."""
    headers = {}
    for line in lines:
        name, colon, value = line.partition(": ")
        if colon:
            headers[name.lower()] = value
    return headers


def has_announced_length(body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether a body is as long as its head says."""
    if headers.get("transfer-encoding") == "chunked":
        return body.endswith(b"0\r\n\r\n")
    length = int(headers.get("content-length") or 0)
    return len(body) == length


def comparable_value(name: str, value: str) -> str:
    """A header's value without the server's port, and lists that have no order in one."""
    if name == "allow":
        methods = sorted(value.split(", "))
        return ", ".join(methods)
    return PORT.sub("", value) if name == "location" else value


def plain(body: bytes) -> bytes:
    """Without ages and ids."""
    try:
        told = json.loads(body)
    except ValueError:
        return AGES.sub(b"", body)
    if isinstance(told, dict):
        for name in VARYING_FIELDS:
            told.pop(name, None)
    return json.dumps(told, sort_keys=True).encode()


def faults(case: Case, received: bytes) -> list[str]:
    """What is wrong with a connection's answers, whoever else is asked."""
    found = []
    for answer in answers_of(received):
        status = answer.status
        if status == 0:
            found.append(f"bytes that are no answer: {received[:80]!r}")
        if status >= 500:
            found.append(f"{status} for {answer.request_id}: {answer.body[:200]!r}")
        if not answer.whole:
            found.append(f"an answer ({status}) of another length than its head says")
    return found + out_of_order(case, received)


def out_of_order(case: Case, received: bytes) -> list[str]:
    """Answers follow the order of their requests, and each has the id of one."""
    at = 0
    for answer in answers_of(received):
        own = answer.request_id
        if not own:
            continue
        at = case.sent.find(own.encode(), at)
        if at < 0:
            return [f"an answer to {own}, out of order or never asked"]
    return []


def differences(case: Case, ours: bytes, theirs: bytes) -> list[str]:
    """Where Potluck's answers are not the plain server's; nothing where a difference is meant."""
    mine = answers_of(ours)
    plains = answers_of(theirs)
    if mine == plains or difference_is_meant(case, mine, plains):
        return []
    return [difference_text(mine, plains)]


def difference_is_meant(case: Case, mine: Sequence[Answer], plains: Sequence[Answer]) -> bool:
    if UPGRADES.search(case.sent) and case.peer is None:
        return True  # uvicorn loses the body of a request that offers an upgrade
    if not case.strict and may_be_cut(mine, plains):
        return True
    large = len(case.sent) > LARGEST_HEAD
    if not large or not ends_with_refusal(mine):
        return False
    ahead = mine[:-1]  # of the refusal of a large head
    return ahead == plains[: len(ahead)]


def may_be_cut(mine: Sequence[Answer], plains: Sequence[Answer]) -> bool:
    """Whether they differ only in how much was answered ahead of bytes that are no HTTP."""
    if not ends_with_refusal(mine) and not ends_with_refusal(plains):
        return False
    first = without_refusal(mine)
    second = without_refusal(plains)
    return is_part(first, second) or is_part(second, first)


def ends_with_refusal(answers: Sequence[Answer]) -> bool:
    return bool(answers) and answers[-1].refusal


def without_refusal(answers: Sequence[Answer]) -> Sequence[Answer]:
    if ends_with_refusal(answers):
        return answers[:-1]
    return answers


def is_part(some: Sequence[Answer], whole: Sequence[Answer]) -> bool:
    """Whether these answers are all among those, in their order."""
    rest = iter(whole)
    return all(answer in rest for answer in some)  # `in` goes on where it found the one before


def difference_text(mine: Sequence[Answer], plains: Sequence[Answer]) -> str:
    """Both sides' statuses, and the first answers that differ."""
    told = f"{statuses(mine)} where the plain server answers {statuses(plains)}"
    for one, other in zip(mine, plains, strict=False):
        if one != other:
            shown = f"; the first difference: {one} instead of {other}"
            return told + shown[:600]
    return told


def statuses(answers: Sequence[Answer]) -> list[int]:
    return [answer.status for answer in answers]
