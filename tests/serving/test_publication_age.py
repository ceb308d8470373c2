"""The age of the published predictions, as /metrics tells it: no request, a new run, Redis away,
several workers."""

import math
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from potluck.contract.publication import Pointer, pointer_key, read_pointer
from potluck.redis.embedded import client

PUBLISHED, AS_OF = "potluck_publication_age_seconds", "potluck_publication_as_of_age_seconds"
KEY = pointer_key("iris", "species_predictions")


def told(server: Any, name: str = PUBLISHED) -> float:
    """What /metrics says of the one precomputed service."""
    text = server.get("/metrics").text
    (value,) = re.findall(rf'^{name}{{service="{server.repo.batch}"}} (\S+)$', text, re.MULTILINE)
    return float(value)


@pytest.fixture
def pointer(iris: Any) -> Iterator[Pointer]:
    """The stack's pointer, which is put back afterwards."""
    redis = client(iris.settings)
    stored = redis.get(KEY)
    found = read_pointer(stored)
    assert found is not None
    yield found
    redis.set(KEY, stored)


def publish(iris: Any, pointer: Pointer) -> None:
    client(iris.settings).set(KEY, pointer.to_json())


def test_a_run_ages_from_when_it_was_published_though_nobody_asks_for_it(
    iris: Any, pointer: Pointer
) -> None:
    published_at = datetime.now(UTC) - timedelta(hours=27)
    with iris.second_server() as server:
        publish(iris, replace(pointer, published_at=published_at))
        first = told(server)
        assert 27 * 3600 <= first < 27 * 3600 + 60
        as_of = (datetime.now(UTC) - pointer.as_of).total_seconds()
        assert told(server, AS_OF) == pytest.approx(as_of, abs=60)
        publish(iris, replace(pointer, published_at=datetime.now(UTC)))
        assert told(server) < 60


def test_a_run_of_an_earlier_release_ages_from_its_as_of_date(iris: Any, pointer: Pointer) -> None:
    publish(iris, replace(pointer, published_at=None))
    assert told(iris) == pytest.approx(told(iris, AS_OF), abs=5)


@pytest.mark.parametrize("stored", [None, b"no pointer"])
def test_nothing_published_is_older_than_any_limit(
    iris: Any, pointer: Pointer, stored: bytes | None
) -> None:
    redis = client(iris.settings)
    redis.delete(KEY)
    if stored is not None:
        redis.set(KEY, stored)
    assert told(iris) == told(iris, AS_OF) == math.inf


def test_a_key_of_another_kind_changes_nothing_of_what_is_known(
    iris: Any, pointer: Pointer
) -> None:
    publish(iris, replace(pointer, published_at=datetime.now(UTC)))
    assert told(iris) < 60
    redis = client(iris.settings)
    redis.delete(KEY)
    redis.hset(KEY, "a", "b")
    try:
        assert told(iris) < 60
    finally:
        redis.delete(KEY)


def test_while_redis_is_frozen_the_last_known_run_ages_on_and_the_scrape_keeps_its_deadline(
    iris: Any, pointer: Pointer
) -> None:
    publish(iris, replace(pointer, published_at=datetime.now(UTC)))
    before = told(iris)
    pid = str(client(iris.settings).info("server")["process_id"])
    subprocess.run(["kill", f"-{signal.SIGSTOP.value}", pid], check=True)
    try:
        time.sleep(1)
        started = time.monotonic()
        after = told(iris)
        assert time.monotonic() - started < iris.settings.redis_timeout + 0.5
    finally:
        subprocess.run(["kill", f"-{signal.SIGCONT.value}", pid], check=True)
    assert before + 1 <= after < before + 10


def test_every_one_of_two_workers_tells_the_same_age_once(iris: Any, pointer: Pointer) -> None:
    publish(iris, replace(pointer, published_at=datetime.now(UTC) - timedelta(hours=2)))
    with iris.second_server("--workers", "2") as server:
        for _ in range(20):
            server.client.close()
            server.client = type(server.client)(timeout=30)
            assert told(server) == pytest.approx(2 * 3600, abs=60)
            assert server.get("/metrics").text.count(f"# TYPE {PUBLISHED} gauge") == 1
