"""The least rights of docs/operations.md are enough: each Redis user there does its part with
exactly those."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis_servers import Processes, RedisProcess

from potluck.contract.publication import publication_key

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operations.md"
AS_OF = "2026-06-25"
HISTORY = "20260625T000000.000000Z.parquet"


def documented() -> dict[str, str]:
    """Name of each `ACL SETUSER` line of the page -> its rules, without the password."""
    lines = re.findall(r"^ACL SETUSER potluck-(\w+) on >\S+ (.+)$", PAGE.read_text(), re.MULTILINE)
    return dict(lines)


@pytest.fixture(scope="module")
def elsewhere(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture
def acting(iris: Any, elsewhere: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The iris home on another Redis, as a user with these rules."""

    def act(name: str, rules: str, server: RedisProcess = elsewhere) -> Any:
        server.client.execute_command(
            "ACL", "SETUSER", name, "reset", "on", ">secret", *rules.split()
        )
        url = f"redis://{name}:secret@127.0.0.1:{server.port}/0"
        environment = {**type(iris)(iris.repo, iris.home).environment, "REDIS_URL": url}
        monkeypatch.setattr(type(iris), "environment", environment)
        return iris

    own = type(iris).environment
    yield act
    monkeypatch.setattr(type(iris), "environment", own)


@pytest.fixture(autouse=True)
def history_is_put_back(iris: Any) -> Iterator[None]:
    yield
    (iris.settings.data_folder("iris") / "predictions.parquet" / HISTORY).unlink(missing_ok=True)


def test_the_page_has_a_user_for_each_part() -> None:
    assert set(documented()) == {"server", "materialize", "nightly"}
    assert "@all" not in documented()["server"].replace("-@all", "")


def test_each_user_does_its_part(acting: Any, elsewhere: RedisProcess) -> None:
    rules = documented()
    loaded = acting("materialize", rules["materialize"]).verb("materialize")
    assert loaded.returncode == 0, loaded.stderr
    published = acting("nightly", rules["nightly"]).verb("nightly", "--as-of", AS_OF)
    assert published.returncode == 0, published.stderr
    assert "note:" not in published.stdout, "the memory was looked at"
    undone = acting("nightly", rules["nightly"]).verb("nightly", "--rollback")
    assert "no run to roll back to" in undone.stderr, "asked, and answered"
    stack = acting("server", rules["server"])
    with stack.second_server() as server:
        row = stack.population()[0]
        assert server.get("/readyz").json()["online_store"] is True
        assert server.post(f"/predict/{stack.repo.hybrid}", row).status_code == 200
        assert (
            server.post(
                f"/predict/{stack.repo.hybrid}/batch", {"dataframe_records": [row]}
            ).status_code
            == 200
        )
        assert server.get(f"/lookup/{stack.repo.batch}/{row['flower_id']}").status_code == 200
        assert (
            f'potluck_publication_age_seconds{{service="{stack.repo.batch}"}}'
            in server.get("/metrics").text
        )
    log = elsewhere.client.execute_command("ACL", "LOG")
    assert {entry[b"object"] for entry in map(pairs, log)} <= {b"client|setinfo", b"client"}


def pairs(entry: Any) -> dict[bytes, Any]:
    if isinstance(entry, dict):
        return {
            name.encode() if isinstance(name, str) else name: value for name, value in entry.items()
        }
    return dict(zip(entry[::2], entry[1::2], strict=True))


def test_a_night_without_the_dangerous_commands_says_what_it_did_not_check(
    acting: Any, elsewhere: RedisProcess
) -> None:
    elsewhere.client.delete(publication_key("iris", "species_predictions", "published"))
    ended = acting("careful", "~* +@all -@dangerous").verb("nightly", "--as-of", AS_OF)
    assert ended.returncode == 0, ended.stderr
    assert "note: whether the run fits into Redis' memory was not checked" in ended.stdout
    assert "INFO and MEMORY USAGE" in ended.stdout
    assert acting("careful", "~* +@all -@dangerous").verb("materialize").returncode == 0


def test_a_night_needs_no_dump_and_no_restore_to_see_that_redis_is_full(
    acting: Any, processes: Processes
) -> None:
    empty = processes.start()
    stack = acting("nightly", documented()["nightly"], empty)
    empty.client.config_set("maxmemory", int(empty.client.info("memory")["used_memory"]) + 30_000)
    ended = stack.verb("nightly", "--as-of", "2026-06-26")
    assert ended.returncode == 65, ended.stdout + ended.stderr
    assert "would pass Redis' maxmemory" in ended.stderr
    assert not [name for name in empty.client.scan_iter(b"*") if b"potluck:" not in name]


@pytest.mark.parametrize("command", ["HMGET", "GET"])
def test_a_server_without_one_of_its_rights_is_no_crash(
    acting: Any, elsewhere: RedisProcess, command: str
) -> None:
    rules = documented()["server"].replace(f" +{command.lower()}", "")
    assert rules != documented()["server"]
    stack = acting("server", rules)
    with stack.second_server() as server:
        row = stack.population()[0]
        answers = [
            server.post(f"/predict/{stack.repo.hybrid}", row),
            server.get(f"/lookup/{stack.repo.batch}/{row['flower_id']}"),
        ]
        assert {answer.status_code for answer in answers} <= {200, 503}
        assert 503 in {answer.status_code for answer in answers}


def test_a_user_without_rights_is_told_so(acting: Any) -> None:
    ended = acting("nobody", "~* -@all +ping").verb("materialize", "--force", "to see")
    assert ended.returncode == 1
    assert "NOPERM" in ended.stderr or "no permissions" in ended.stderr
    assert redis.exceptions.NoPermissionError.__name__ not in ended.stderr
