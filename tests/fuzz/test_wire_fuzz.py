"""A short, seeded part of `benchmarks.fuzz.wire`; and the fuzzer finds what it looks for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fuzz import wire
from benchmarks.fuzz.answers import differences, faults
from benchmarks.fuzz.calls import calls_of, services_of
from benchmarks.fuzz.ground import Servers, plain_server
from benchmarks.fuzz.streams import KINDS, Case, case, load, save
from benchmarks.home import Home

CASES, SEED = 20 * len(KINDS), 11
OK = b"HTTP/1.1 200 OK\r\nx-request-id: %b\r\ncontent-length: 2\r\n\r\n{}"
BROKEN = OK.replace(b"200 OK", b"500 Internal Server Error")
REFUSED = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno"


@pytest.fixture
def servers(iris: Any) -> Iterator[Servers]:
    with plain_server(Home(iris.settings, iris.environment)) as peer:
        yield Servers(iris.port, iris.process.pid, peer.port)


def test_streams_are_answered_as_plain_uvicorn_answers_them(servers: Servers) -> None:
    calls = calls_of(services_of(servers.port, (1, 2, 3, 10_000_000)))
    outcome, grown = wire.fuzz_wire(servers, calls, cases=CASES, seed=SEED)
    assert [(each.kind, each.number, reasons) for each, reasons in outcome.failures] == []
    assert grown == []
    assert outcome.played.total() == CASES


def of(*, strict: bool) -> Case:
    return Case("made", 1, (b"x-request-id: a\r\n\r\n", b"x-request-id: b\r\n\r\n"), strict=strict)


def test_an_answer_out_of_order_is_found() -> None:
    assert faults(of(strict=True), OK % b"a" + OK % b"b") == []
    assert "out of order" in faults(of(strict=True), OK % b"b" + OK % b"a")[0]
    assert "never asked" in faults(of(strict=True), OK % b"c")[0]


def test_an_id_is_told_back_as_it_came() -> None:
    case = Case("made", 1, (b"X-REQUEST-ID: C1-A\r\n\r\n",))
    assert faults(case, OK % b"C1-A") == []
    assert "never asked" in faults(case, OK % b"c1-a")[0]


def test_a_failure_of_the_server_is_found() -> None:
    assert "500 for a" in faults(of(strict=False), BROKEN % b"a")[0]


def test_an_answer_that_is_cut_is_found() -> None:
    assert "another length" in faults(of(strict=True), (OK % b"a")[:-1])[0]


def test_a_missing_answer_and_another_one_are_found() -> None:
    both, one = OK % b"a" + OK % b"b", OK % b"a"
    assert differences(of(strict=True), both, both) == []
    (told,) = differences(of(strict=True), one, both)
    assert "[200] where the plain server answers [200, 200]" in told
    assert differences(of(strict=False), one, both) != []
    assert differences(of(strict=True), one, one.replace(b"{}", b"[]")) != []


def test_what_may_be_cut_ahead_of_no_http_is_no_difference_in_a_case_that_is_not_strict() -> None:
    both, cut = OK % b"a" + REFUSED, REFUSED
    assert differences(of(strict=False), both, cut) == []
    assert differences(of(strict=True), both, cut) != []


def test_a_case_is_the_same_each_time_and_can_be_replayed_from_its_file(tmp_path: Path) -> None:
    calls = calls_of([])
    for number in range(2 * len(KINDS)):
        each = case(SEED, number, calls)
        assert each == case(SEED, number, calls)
        assert load(save(each, tmp_path)) == each
    assert case(SEED, 0, calls) != case(SEED + 1, 0, calls)
