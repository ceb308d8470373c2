"""One holder at a time, on any machine; a dead one is replaced."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from redis_servers import Processes, RedisProcess

from batch.lease import Holder, Lease, this_process
from potluck.contract.errors import Locked, ServiceUnreachable
from potluck.contract.publication import pointer_key, publication_key

PROJECT, VIEW = "shop", "prices"
LEASE, POINTER = publication_key(PROJECT, VIEW, "lease"), pointer_key(PROJECT, VIEW)

HOLD_UNTIL_KILLED = """
import sys, time
import redis
from batch.lease import Lease
with Lease(redis.Redis(port=int(sys.argv[1])), "shop", "prices"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def server(shared_processes: Processes) -> RedisProcess:
    return shared_processes.start()


@pytest.fixture
def client(server: RedisProcess) -> Iterator[redis.Redis]:
    server.client.flushall()
    yield server.client
    server.client.flushall()


def lease(client: redis.Redis, seconds: float = 30.0) -> Lease:
    return Lease(client, PROJECT, VIEW, seconds)


def hold_as(client: redis.Redis, holder: Holder, milliseconds: int = 30_000) -> None:
    client.set(LEASE, holder.to_json(), px=milliseconds)


def test_it_is_given_back_at_the_end(client: redis.Redis) -> None:
    with lease(client):
        assert client.exists(LEASE)
    assert not client.exists(LEASE)


def test_it_is_given_back_after_an_error(client: redis.Redis) -> None:
    with pytest.raises(ZeroDivisionError), lease(client):
        _ = 1 / 0
    assert not client.exists(LEASE)


def test_the_token_counts_up_with_every_holder(client: redis.Redis) -> None:
    with lease(client) as first:
        pass
    with lease(client) as second:
        assert second.token > first.token > 0


def test_a_second_one_is_told_who_holds_it(client: redis.Redis) -> None:
    with (
        lease(client),
        pytest.raises(Locked, match=rf"process {os.getpid()} on ") as told,
        lease(client),
    ):
        pass
    assert told.value.exit_code == 75


def test_another_view_has_a_lease_of_its_own(client: redis.Redis) -> None:
    with lease(client), Lease(client, PROJECT, "rents"):
        pass


def test_that_of_a_killed_process_is_taken_over_at_once(
    client: redis.Redis, server: RedisProcess
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_UNTIL_KILLED, str(server.port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Locked, match=f"process {holder.pid} on "), lease(client):
        pass
    holder.kill()
    holder.wait()
    with lease(client) as ours:
        assert ours.token == 3


@pytest.mark.parametrize("elsewhere", [{"host": "another"}, {"space": "another boot"}])
def test_that_of_another_host_is_left_to_run_out(
    client: redis.Redis, elsewhere: dict[str, str]
) -> None:
    dead = replace(
        this_process(1), pid=2**22 + 1, **elsewhere
    )  # no such process here, which proves nothing there
    hold_as(client, dead, milliseconds=300)
    with pytest.raises(Locked), lease(client):
        pass
    time.sleep(0.4)
    with lease(client):
        pass


def test_a_number_given_out_again_is_another_process(client: redis.Redis) -> None:
    hold_as(client, replace(this_process(1), started="1"))
    with lease(client):
        pass


def test_it_is_renewed_while_it_is_held(client: redis.Redis) -> None:
    with lease(client, seconds=0.6) as held:
        time.sleep(1.5)
        held.check()
        assert client.exists(LEASE)


def test_whoever_lost_it_is_told_and_changes_nothing(client: redis.Redis) -> None:
    with lease(client, seconds=0.3) as stalled:
        hold_as(client, replace(this_process(99), host="another"))
        time.sleep(0.5)
        with pytest.raises(Locked, match="lost its lease"):
            stalled.check()
        with pytest.raises(Locked, match="took the lease"):
            stalled.switch(None, b"pointer")
    assert not client.exists(POINTER)
    assert client.exists(LEASE), "the other one's"


def test_one_that_ran_out_comes_back_if_nobody_took_it(client: redis.Redis) -> None:
    with lease(client, seconds=0.9) as held:
        client.delete(LEASE)
        time.sleep(0.6)
        held.check()
        assert client.exists(LEASE)


def test_the_pointer_is_switched_from_what_was_expected(client: redis.Redis) -> None:
    with lease(client) as held:
        held.switch(None, b"first")
        held.switch(b"first", b"second")
        with pytest.raises(Locked, match="moved by somebody"):
            held.switch(b"first", b"third")
    assert client.get(POINTER) == b"second"


def test_a_damaged_lease_is_somebodys_until_it_runs_out(client: redis.Redis) -> None:
    client.set(LEASE, b"\xff", px=30_000)
    with pytest.raises(Locked, match="somebody"), lease(client):
        pass


def test_without_redis_there_is_none(processes: Processes) -> None:
    process = processes.start()
    process.kill()
    with pytest.raises(ServiceUnreachable), lease(process.client):
        pass
