"""What a champion looks up and the last materialize did not write is counted, named and logged."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from potluck.contract.feed import Feed, feed_key
from potluck.redis.embedded import client

KEY = feed_key("iris")
WHOLE = ("petal_length", "petal_width")
PATIENCE_SECONDS = 20


@pytest.fixture(autouse=True)
def feed(iris: Any) -> Iterator[None]:
    """What lies under the key is put back."""
    redis = client(iris.settings)
    stored = redis.get(KEY)
    yield
    redis.delete(KEY)
    if stored is not None:
        redis.set(KEY, stored)


def materialized(iris: Any, *features: str) -> None:
    feed = Feed(datetime(2026, 6, 1, tzinfo=UTC), {"petal_record": features})
    client(iris.settings).set(KEY, feed.to_json())


def counted(server: Any) -> dict[str, float]:
    text = server.get("/metrics").text
    found = re.findall(r'^potluck_features_not_fed{service="(\w+)"} (\S+)$', text, re.MULTILINE)
    return {service: float(value) for service, value in found}


def named(server: Any) -> Any:
    return server.get(f"/services/{server.repo.hybrid}").json().get("not_fed")


def test_a_looked_up_feature_that_was_taken_out_is_counted_and_named(iris: Any) -> None:
    materialized(iris, *WHOLE)
    assert (counted(iris), named(iris)) == ({iris.repo.hybrid: 0}, None)
    materialized(iris, "petal_width")
    assert (counted(iris), named(iris)) == ({iris.repo.hybrid: 1}, ["petal_record:petal_length"])
    client(iris.settings).set(KEY, Feed(datetime.now(UTC), {}).to_json())
    assert (counted(iris), named(iris)) == (
        {iris.repo.hybrid: 2},
        ["petal_record:petal_length", "petal_record:petal_width"],
    )


@pytest.mark.parametrize("stored", [None, b"", b"no feed", b"{}"])
def test_where_nothing_was_materialized_nothing_is_told(iris: Any, stored: bytes | None) -> None:
    client(iris.settings).delete(KEY)
    if stored is not None:
        client(iris.settings).set(KEY, stored)
    assert (counted(iris), named(iris)) == ({}, None)


def test_a_service_that_looks_nothing_up_lacks_nothing(iris: Any) -> None:
    materialized(iris)
    assert "not_fed" not in iris.get(f"/services/{iris.repo.realtime}").json()
    assert "not_fed" not in iris.get(f"/services/{iris.repo.batch}").json()


def test_a_change_is_logged_once_without_a_scrape(iris: Any) -> None:
    materialized(iris, "petal_width")
    counted(iris)  # the shared server, which writes the same log, has told it by now
    log = iris.home / "server.log"
    before = len(log.read_text())

    def warnings() -> list[str]:
        return [
            line for line in log.read_text()[before:].splitlines() if "no longer writes" in line
        ]

    with iris.second_server() as server:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not warnings():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for _ in range(3):
            counted(server)
            named(server)
    (line,) = warnings()
    assert f"{iris.repo.hybrid} looks up" in line
    assert "petal_record:petal_length" in line


def test_while_the_store_does_not_answer_nothing_is_told(
    iris: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    materialized(iris, "petal_width")
    nobody = {**iris.environment, "REDIS_URL": f"unix://{iris.home}/nobody.sock"}
    monkeypatch.setattr(type(iris), "environment", nobody)
    with iris.second_server() as server:
        assert (counted(server), named(server)) == ({}, None)
