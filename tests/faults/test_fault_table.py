"""The fault table of docs/operations.md: of the last run, complete, shown by tests that exist."""

import asyncio
import json
from pathlib import Path

import pytest

from benchmarks.faults import page
from benchmarks.faults.figures import fault_figures
from benchmarks.faults.load import Ask, Asked, Load
from benchmarks.faults.scenarios import SCENARIOS
from benchmarks.machine import RESULTS

TESTS = Path(__file__).parent.parent


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_each_line_is_shown_by_a_test_that_exists(scenario: page.Scenario) -> None:
    assert scenario.tests
    for test in scenario.tests:
        file, _, name = test.partition("::")
        assert f"\ndef {name}(" in (TESTS / file).read_text(), test


def test_the_page_has_the_table_of_the_last_run() -> None:
    told = json.loads((RESULTS / "faults.json").read_text())
    text = page.PAGE.read_text()
    assert text == page.with_table(text, page.fault_table(told["figures"]))
    assert list(told["figures"]) == [scenario.name for scenario in SCENARIOS]


def test_the_last_run_saw_no_wrong_answer() -> None:
    told = json.loads((RESULTS / "faults.json").read_text())
    assert [name for name, figures in told["figures"].items() if figures["wrong"]] == []


def test_a_line_stands_between_the_marks_and_nothing_else_changes() -> None:
    before = f"a\n{page.BEGIN}\nold\n{page.END}\nb\n"
    assert page.with_table(before, "new") == f"a\n{page.BEGIN}\nnew\n{page.END}\nb\n"


def asked(begun: float, ended: float, status: int = 200, error: str = "") -> Asked:
    return Asked("hybrid", begun, ended, status, error, sent=True)


def test_figures_count_what_was_answered_while_the_fault_lasted() -> None:
    lost = asked(12, 12.5, 0, "ConnectionResetError")
    late = asked(12.9, 13.4, 503)
    during = [asked(10, 10.1), asked(11, 11.3, 503), lost, late]
    figures = fault_figures([asked(1, 2, 500), *during, asked(13.5, 13.7), asked(20, 21)], 10, 13)
    assert figures.statuses == {"200": 1, "503": 2}
    assert figures.errors == {"ConnectionResetError": 1}
    assert figures.slowest_ms == 500
    assert figures.first_good_s == pytest.approx(0.7)
    assert figures.steady_s == pytest.approx(0.4)
    assert (figures.wrong, figures.unexpected) == (0, 1)


def test_without_a_failure_there_is_nothing_to_recover_from() -> None:
    figures = fault_figures([asked(10, 10.1), asked(13.5, 13.7)], 10, 13)
    assert (figures.first_good_s, figures.steady_s) == (0, 0)


ASK = Ask("hybrid", "POST", "/predict/made", b"{}")


@pytest.mark.parametrize("told", [(1.5, "1"), (1.5000000000000002, "1"), (1.5, "2")])
def test_an_answer_that_is_another_than_the_known_one_is_wrong(told: tuple[float, str]) -> None:
    body = json.dumps({"prediction": told[0], "model_version": told[1]}).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n{}"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async def play() -> Load:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        load = Load(port, [ASK], {(ASK.key, "1"): 1.5})
        running = asyncio.create_task(load.run())
        await asyncio.sleep(0.3)
        load.stopped = True
        await running
        listening.close()
        return load

    load = asyncio.run(play())
    right = told == (1.5, "1")
    assert {each.good for each in load.asked} == {right}
    assert {each.wrong for each in load.asked} == {not right}
