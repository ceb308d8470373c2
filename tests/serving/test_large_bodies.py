"""No body, whatever it holds, keeps the other requests waiting or the memory."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hostile_bodies import HOSTILE, LARGEST, MIB, filled, keys
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_holds import SERVER, Holds, memory_of
from pydantic_core import from_json

from potluck.contract.errors import RequestError
from potluck.contract.features import FeatureContract, LookupView
from potluck.contract.fields import Field
from serving.bodies import json_structure
from serving.bodies.batch_body import BatchReader
from serving.bodies.json_structure import UNCOUNTED_BYTES, is_light
from serving.bodies.malformed import not_json
from serving.loop.turns import Turns
from serving.services.schema import ROWS, KeyReader, RequestSchema

LONGEST_HOLD = 0.1
"""CPU seconds of a step: the promise is 0.05, and a busy machine makes each second longer."""
KEY = Field("id", "int64", "key", required=True)
FIELDS = (Field("a", "int64", "request"), Field("text", "string", "request"))
ONLINE = Field("size", "float64", "online")
VIEW = LookupView("view", ("id",), ("size",), ("00000000",), 0)
CONTRACT = FeatureContract(
    "p", "s", "regression", "identity", "l", "y", (KEY,), FIELDS, (ONLINE,), (VIEW,), (), ()
)
SCHEMA = RequestSchema(CONTRACT)
IDS = KeyReader(KEY)


def comparable(outcome: Any) -> Any:
    """Errors by what they say; numbers with their type."""
    if isinstance(outcome, RequestError):
        return type(outcome), outcome.message, outcome.details
    return [comparable(row) if isinstance(row, RequestError) else repr(row) for row in outcome]


def in_turns(reader: BatchReader[Any], body: bytes) -> Any:
    try:
        return comparable(asyncio.run(reader.read_in_turns(body, Turns())).rows)
    except RequestError as error:
        return comparable(error)


def plainly(reader: BatchReader[Any], body: bytes) -> Any:
    """The body parsed whole, then row by row: the short way to say what a batch is."""
    try:
        envelope = from_json(body)
    except ValueError as error:
        return comparable(not_json(body, str(error), f"one JSON object, {reader.form}"))
    if (
        not isinstance(envelope, dict)
        or set(envelope) != {reader.name}
        or not isinstance(envelope[reader.name], list)
    ):
        return comparable(reader.other_form())
    # A row that was parsed is written as JSON again; of NaN and infinity `json` makes what the
    # parser reads.
    return comparable([reader.read_row(json.dumps(row).encode()) for row in envelope[reader.name]])


names = st.sampled_from(["id", "a", "text", "size", "b", "[", '"', "\\", "ä", "\n", "", ","])
texts = st.text(st.sampled_from('ab"\\,[]{}:\n\x00äß😀'), max_size=6)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(2**53, 2**70),
    st.floats(width=16),
    texts,
)


@st.composite
def written(draw: st.DrawFn, depth: int = 2) -> str:
    """A JSON value as text: with white space, escapes, and keys that come twice."""
    gap = draw(st.sampled_from(["", "", " ", "\n", "\t \r\n"]))
    kind = draw(st.sampled_from(["scalar", "scalar", "list", "object"])) if depth else "scalar"
    if kind == "list":
        entries = draw(st.lists(written(depth - 1), max_size=3))
        return f"[{gap}{f'{gap},'.join(entries)}{gap}]"
    if kind == "object":
        pairs = draw(st.lists(st.tuples(names, written(depth - 1)), max_size=4))
        members = [f"{json.dumps(name)}{gap}:{value}" for name, value in pairs]
        return f"{gap}{{{f',{gap}'.join(members)}}}{gap}"
    return gap + json.dumps(draw(scalars), ensure_ascii=draw(st.booleans()))


rows_that_fit = st.builds(
    lambda key, a, text: json.dumps({"id": key, "a": a, "text": text}),
    st.integers(0, 9),
    st.integers(0, 9),
    texts,
)


def keys_like(name: str) -> list[str]:
    """The name itself, most often; with an escape; others; and without quotes."""
    escaped = f'"\\u{ord(name[0]):04x}{name[1:]}"'
    return [f'"{name}"'] * 6 + [escaped, '"other"', f'"{name[0]} {name[1:]}"', name]


@st.composite
def bodies(draw: st.DrawFn, name: str, rows: Any) -> bytes:
    """Of a batch, or nearly: most are right, some were damaged at one place."""
    members = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        key = draw(st.sampled_from(keys_like(name)))
        gap = draw(st.sampled_from(["", " ", "\n "]))
        members.append(f"{gap}{key}{gap}:{gap}[{','.join(draw(st.lists(rows, max_size=4)))}]{gap}")
    text = (
        "{"
        + ",".join(members)
        + "}"
        + draw(st.sampled_from(["", "", "", " ", "\n", "]", "{}", ",", "x"]))
    )
    body = text.encode("utf-8", "surrogatepass")
    if draw(st.booleans()):
        return body
    place = draw(st.integers(0, len(body) - 1))
    kind = draw(st.sampled_from(["cut", "drop", "put"]))
    put = draw(st.sampled_from([*b'"\\,[]{}: 0\n\xff'])).to_bytes()
    return {
        "cut": body[:place],
        "drop": body[:place] + body[place + 1 :],
        "put": body[:place] + put + body[place:],
    }[kind]


@pytest.fixture(params=[1, 5, 1 << 16])
def slices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of a few bytes too, so that everything falls between two of them."""
    monkeypatch.setattr(json_structure, "SLICE_BYTES", request.param)


def agrees(found: Any, expected: Any) -> bool:
    """Whether two readings say the same.

    A body that is no JSON may also be told as one of another form, if it is both, or without a
    place; never with a wrong place.
    """
    if found == expected:
        return True
    refused = isinstance(found, tuple) and isinstance(expected, tuple)
    if not refused or not expected[1].startswith("the body is not valid JSON at"):
        return False
    others = ("the batch has another form than expected", "the body is not valid JSON; ")
    return found[1].startswith(others)


@pytest.mark.usefixtures("slices")
def test_records_are_read_in_turns_as_they_are_at_once() -> None:
    @settings(deadline=None)
    @given(bodies(ROWS, st.one_of(rows_that_fit, written())))
    def hold(body: bytes) -> None:
        expected = plainly(SCHEMA.batch, body)
        assert agrees(in_turns(SCHEMA.batch, body), expected)
        assert agrees(read(SCHEMA.batch, body), expected)

    hold()


@pytest.mark.usefixtures("slices")
def test_ids_are_read_in_turns_as_they_are_at_once() -> None:
    @settings(deadline=None)
    @given(bodies("ids", written(depth=1)))
    def hold(body: bytes) -> None:
        expected = plainly(IDS.batch, body)
        assert agrees(in_turns(IDS.batch, body), expected)
        assert agrees(read(IDS.batch, body), expected)

    hold()


def read(reader: BatchReader[Any], body: bytes) -> Any:
    try:
        return comparable(asyncio.run(reader.read(body, Turns())).rows)
    except RequestError as error:
        return comparable(error)


@pytest.mark.parametrize(
    "rows",
    [
        b"[1,]",
        b"[1,,2]",
        b"[,1]",
        b"[1 2]",
        b"[1, 2 3]",
        b"[1}",
        b"[1, 2}",
        b"[1, 2",
        b"[1,",
        b"[",
        b"[1]]",
        b"[1, \\",
    ],
)
def test_what_is_wrong_between_the_rows_is_told_as_the_parser_tells_it(rows: bytes) -> None:
    body = b'{\n "ids": %b}' % rows
    assert in_turns(IDS.batch, body) == plainly(IDS.batch, body)


@pytest.mark.parametrize("unit", [b"0,", b"[],", b'{"a":0},'])
def test_a_text_of_many_values_is_heavy_and_one_with_many_commas_in_it_is_not(unit: bytes) -> None:
    assert not is_light(b"[" + filled(unit, UNCOUNTED_BYTES) + b"0]")
    assert is_light(b"[" + filled(unit, UNCOUNTED_BYTES // 2) + b"0]")
    assert is_light(b'["' + b",[{" * UNCOUNTED_BYTES + b'"]')
    assert not is_light(b'"' + b"a" * MIB + b'"')


def test_a_heavy_record_is_refused_unread_alone_and_as_a_row() -> None:
    heavy = b'{"id": 1, %b}' % keys(MIB - 100)
    alone = SCHEMA.read(heavy)
    assert isinstance(alone, RequestError)
    assert "1048576 bytes and 8192 values" in alone.message
    body = b'{"%b": [{"id": 1}, %b, {"id": 2}]}' % (ROWS.encode(), heavy)
    first, refused, last = asyncio.run(SCHEMA.batch.read(body, Turns())).rows
    assert (first, last) == ({"id": 1}, {"id": 2})
    assert comparable(refused) == comparable(alone)


def test_of_many_reasons_the_first_ones_are_told_and_all_are_counted() -> None:
    record = {"a": "x", "text": 5, **{f"k{number}": 0 for number in range(3000)}}
    refused = SCHEMA.read(json.dumps(record).encode())
    assert isinstance(refused, RequestError)
    assert refused.message == "the record does not fit the service's contract in 3003 place(s)"
    fields = [detail.field for detail in refused.details]
    assert fields == ["id", "a", "text", *(f"k{number}" for number in range(17))]


@pytest.fixture(scope="module")
def server(iris: Any) -> Iterator[Any]:
    with iris.second_server("--workers", "1", code=SERVER) as server:
        server.post(f"/predict/{server.repo.hybrid}/batch", {"dataframe_records": [{}]})
        yield server


class Probe(threading.Thread):
    """Asks for /livez without a pause and keeps the longest time that it waited."""

    def __init__(self, server: Any) -> None:
        super().__init__()
        self.url, self.longest, self.done = f"{server.url}/livez", 0.0, threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=60) as client:
            while not self.done.is_set():
                started = time.monotonic()
                assert client.get(self.url).status_code == 200
                self.longest = max(self.longest, time.monotonic() - started)


def sent(server: Any, path: str, body: bytes) -> tuple[float, float, httpx.Response]:
    """The longest step of the loop, the longest wait for /livez, the answer."""
    holds, probe = Holds(server.home), Probe(server)
    probe.start()
    answer = server.post(path, body)
    probe.done.set()
    probe.join()
    return holds.longest(), probe.longest, answer


@pytest.mark.parametrize("name", HOSTILE)
def test_no_body_of_a_batch_holds_the_event_loop(server: Any, name: str) -> None:
    calls = {
        f"/predict/{server.repo.hybrid}/batch": b"dataframe_records",
        f"/lookup/{server.repo.batch}": b"ids",
    }
    for path, list_name in calls.items():
        body = HOSTILE[name](list_name)
        assert len(body) <= LARGEST
        hold, waited, answer = sent(server, path, body)
        assert hold < LONGEST_HOLD
        assert waited < 5, "generous: the machine may be busy"
        assert answer.status_code in (200, 413, 422)
        assert all(len(error["details"]) <= 20 for error in answer.json().get("errors", ()))


RECORDS = {
    "unknown keys": b"{%b}" % keys(MIB - 100),
    "as many unknown keys as are read": b"{%b}" % keys(11 * 8190),
    "empty lists": b'{"a":[%b[]]}' % filled(b"[],", MIB - 100),
    "empty lists that are read": b'{"a":[%b[]]}' % filled(b"[],", UNCOUNTED_BYTES - 100),
    "keys that are read": b"{%b}" % keys(UNCOUNTED_BYTES - 100),
    "a text of escapes": b'{"a":"%b"}' % filled(b"\\n", MIB - 100),
    "digits": b'{"a":[%b]}' % b",".join([b"9" * 4200] * 240),
    "brackets": b"[" * MIB,
    "white space": b" " * MIB,
}


@pytest.mark.parametrize("name", RECORDS)
def test_no_single_record_holds_the_event_loop(server: Any, name: str) -> None:
    hold, _, answer = sent(server, f"/predict/{server.repo.hybrid}", RECORDS[name])
    assert hold < LONGEST_HOLD
    assert (answer.status_code, answer.json()["error_code"]) == (422, "SCHEMA_VALIDATION")
    assert len(answer.json()["details"]) <= 20


def test_a_thousand_good_rows_with_large_texts_do_not_hold_it_either(server: Any) -> None:
    row = {**server.population()[0]}
    texts = [name for name, value in row.items() if isinstance(value, str)]
    large = {**row, **dict.fromkeys(texts, "a" * 7000)}
    rows = json.dumps({"dataframe_records": [large] * 1000}).encode()
    hold, _, answer = sent(server, f"/predict/{server.repo.hybrid}/batch", rows)
    assert answer.status_code == 200
    assert hold < LONGEST_HOLD


def test_large_bodies_one_after_the_other_leave_no_memory_behind(server: Any) -> None:
    path = f"/predict/{server.repo.hybrid}/batch"

    def send_all() -> None:
        for make in HOSTILE.values():
            server.post(path, make(b"dataframe_records"))

    send_all()
    before = memory_of(server)
    send_all()
    assert memory_of(server) - before < 32
    assert memory_of(server, "VmHWM") - before < 160, "20 times the largest body"


def test_many_large_bodies_at_once_hold_it_no_longer_than_one(server: Any) -> None:
    body = HOSTILE["rows of 8 kB of unknown keys"](b"dataframe_records")
    url, holds = f"{server.url}/predict/{server.repo.hybrid}/batch", Holds(server.home)
    asked = [
        threading.Thread(target=httpx.post, args=(url,), kwargs={"content": body, "timeout": 120})
        for _ in range(8)
    ]
    for each in asked:
        each.start()
    for each in asked:
        each.join()
    assert holds.longest() < LONGEST_HOLD
