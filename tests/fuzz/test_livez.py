"""The measurement of `/livez`' waits: it sees who holds the event loop, and its bodies are what it
says."""

import json
import sys
from collections.abc import Iterator

import pytest

from benchmarks import hostile
from benchmarks.delivery import OTHERWISE, send_at_once
from benchmarks.fuzz.calls import LiveService
from benchmarks.hostile import Hostile
from benchmarks.livez import ask, bodies, livez_goals, summarize
from benchmarks.processes import Server, free_port, started

HELD_SECONDS = 0.3
HOLDS = f"""
import sys, time, uvicorn

async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    begun = time.perf_counter()
    if scope["path"] == "/works":
        while time.perf_counter() - begun < {HELD_SECONDS}:
            pass
    if scope["path"] == "/sleeps":
        time.sleep({HELD_SECONDS})
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}})
    await send({{"type": "http.response.body", "body": b"ok"}})

uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", log_level="error")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, log = free_port(), tmp_path_factory.mktemp("holds") / "server.log"
    with started([sys.executable, "-c", HOLDS, str(port)], port, {}, log) as server:
        server.wait_ready("/livez")
        yield server


def test_who_works_on_the_event_loop_is_seen_by_wait_and_by_work(server: Server) -> None:
    run = ask(server, Hostile("works", "/works", b"{}"), send_at_once, 30)
    assert run.status == 200
    assert run.wait > 0.8 * 1000 * HELD_SECONDS
    assert run.work > 10, "as much of it as the machine gave to the server"


def test_who_sleeps_on_the_event_loop_is_seen_by_the_wait_alone(server: Server) -> None:
    run = ask(server, Hostile("sleeps", "/sleeps", b"{}"), send_at_once, 30)
    assert run.wait > 0.8 * 1000 * HELD_SECONDS
    assert run.work < 0.5 * 1000 * HELD_SECONDS


def test_a_body_that_holds_the_server_misses_the_goal(server: Server) -> None:
    runs = [ask(server, Hostile("works", "/works", b"{}"), send_at_once, 30)._replace(work=250.0)]
    assert [goal.met for goal in livez_goals([summarize(runs, "works")], alone=1000)] == [False]


@pytest.mark.parametrize("way", OTHERWISE)
def test_each_way_of_sending_is_a_whole_request(server: Server, way: str) -> None:
    assert (
        ask(server, Hostile("plain", "/quick", b"[0]" * 50_000), OTHERWISE[way], 30).status == 200
    )


FIELDS = [
    {"name": "id", "dtype": "int64", "source": "key"},
    {"name": "note", "dtype": "string", "source": "request"},
]


SINGLE, BATCH = 1 << 14, 1 << 18


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies of the same forms, for a server that reads less: the true ones take half a minute to
    make."""
    monkeypatch.setattr(hostile, "LARGEST_SINGLE", SINGLE)
    monkeypatch.setattr(hostile, "LARGEST_BATCH", BATCH)


@pytest.mark.usefixtures("small")
def test_no_body_is_larger_than_what_is_read_and_each_has_a_name_of_its_own() -> None:
    services = [LiveService("model", FIELDS, False, [1]), LiveService("night", FIELDS, True, [1])]
    found = [(each.name, each.path, len(each.body)) for each in bodies(services)]
    assert len({name for name, _, _ in found}) == len(found)
    for name, path, size in found:
        single = path == "/predict/model" and "larger than" not in name
        assert size <= (SINGLE if single else BATCH), name


@pytest.mark.usefixtures("small")
def test_bodies_are_the_json_that_their_names_say() -> None:
    services = [LiveService("model", FIELDS, False, [1])]
    by_name = {each.name: each.body for each in bodies(services)}
    rows = json.loads(by_name["/predict/model/batch: zeros"])["dataframe_records"]
    assert (set(rows), len(rows) > 0.49 * BATCH) == ({0}, True)
    keys = json.loads(by_name["/predict/model/batch: one row of unknown keys"])
    assert len(keys["dataframe_records"][0]) > BATCH // 13
    good = json.loads(by_name["/predict/model/batch: 1000 good rows after white space"])
    assert good["dataframe_records"] == [{"id": 1, "note": "a"}] * 1000
