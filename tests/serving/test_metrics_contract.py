"""/metrics says what docs/http-contract.md says of it."""

import contextlib
import http.client
import json
import math
import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from potluck.contract.feed import Feed, feed_key, read_feed
from potluck.redis.embedded import client

ROOT = Path(__file__).parents[2]
SAMPLE = re.compile(r"^(\w+)(?:{(.*)})? (\S+)$", re.MULTILINE)
STRANGER = 987654321


def samples(server: Any, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Labels -> value."""
    text = server.get("/metrics").text
    found = [
        (labels, float(value)) for metric, labels, value in SAMPLE.findall(text) if metric == name
    ]
    return {tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels))): value for labels, value in found}


def value(server: Any, name: str, **labels: str) -> float:
    return samples(server, name).get(tuple(sorted(labels.items())), 0.0)


def rows(server: Any, service: str) -> tuple[float, float]:
    """Answered, failed."""
    name = "potluck_predictions_total"
    answered = value(server, name, service=service, outcome="answered")
    return answered, value(server, name, service=service, outcome="error")


@pytest.fixture
def record(iris: Any) -> dict[str, Any]:
    return dict(iris.population()[0])


def test_every_row_that_was_read_is_counted_by_its_outcome(
    iris: Any, record: dict[str, Any]
) -> None:
    hybrid, batch = iris.repo.hybrid, iris.repo.batch
    path, looked_up, entity = f"/predict/{hybrid}", f"/lookup/{batch}", record["flower_id"]
    stranger, wrong = {**record, "flower_id": STRANGER}, {**record, "sepal_length": "long"}
    calls = [
        (hybrid, (1, 0), lambda: iris.post(path, record)),
        (hybrid, (0, 1), lambda: iris.post(path, stranger)),
        (hybrid, (0, 1), lambda: iris.post(path, wrong)),
        (hybrid, (0, 1), lambda: iris.post(path, b"{")),
        (
            hybrid,
            (1, 2),
            lambda: iris.post(f"{path}/batch", {"dataframe_records": [record, stranger, wrong]}),
        ),
        (hybrid, (0, 0), lambda: iris.post(f"{path}/batch", b"{")),
        (
            hybrid,
            (0, 0),
            lambda: iris.post(f"{path}/batch", {"dataframe_records": [record] * 1001}),
        ),
        (batch, (1, 0), lambda: iris.get(f"{looked_up}/{entity}")),
        (batch, (0, 1), lambda: iris.get(f"{looked_up}/{STRANGER}")),
        (batch, (0, 1), lambda: iris.get(f"{looked_up}/text")),
        (batch, (1, 2), lambda: iris.post(looked_up, {"ids": [entity, STRANGER, "text"]})),
    ]
    for service, expected, call in calls:
        before = rows(iris, service)
        call()
        after = rows(iris, service)
        assert (after[0] - before[0], after[1] - before[1]) == expected


@pytest.fixture
def without_redis(iris: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    nobody = {**iris.environment, "REDIS_URL": f"unix://{iris.home}/nobody.sock"}
    monkeypatch.setattr(type(iris), "environment", nobody)
    with iris.second_server() as server:
        yield server


def test_rows_that_the_store_did_not_answer_for_are_counted(
    without_redis: Any, record: dict[str, Any]
) -> None:
    hybrid, batch = without_redis.repo.hybrid, without_redis.repo.batch
    without_redis.post(f"/predict/{hybrid}", record)
    without_redis.post(f"/predict/{hybrid}/batch", {"dataframe_records": [record] * 3})
    assert rows(without_redis, hybrid) == (0, 4)
    without_redis.get(f"/lookup/{batch}/1")
    without_redis.post(f"/lookup/{batch}", {"ids": [1, 2, 3]})
    assert rows(without_redis, batch) == (0, 4)


def test_the_store_is_up_or_not(iris: Any, without_redis: Any) -> None:
    assert value(without_redis, "potluck_online_store_up") == 0
    assert samples(iris, "potluck_online_store_up") == {(): 1.0}


@contextlib.contextmanager
def frozen_redis(iris: Any) -> Iterator[None]:
    pid = client(iris.settings).info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_what_is_refused_early_is_counted_under_its_endpoint_and_service(
    iris: Any, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = {"POTLUCK_MAX_IN_FLIGHT": "1", "POTLUCK_REDIS_TIMEOUT": "60"}
    monkeypatch.setattr(type(iris), "environment", {**iris.environment, **patient})
    hybrid, batch = iris.repo.hybrid, iris.repo.batch
    with iris.second_server("--workers", "1") as server:
        assert server.get("/readyz").json()["online_store"] is True
        with frozen_redis(iris):
            slow = http.client.HTTPConnection("127.0.0.1", server.port)
            slow.request("POST", f"/predict/{hybrid}", json.dumps(record))
            deadline = time.monotonic() + 20
            while server.get("/services").status_code != 429:
                assert time.monotonic() < deadline
            refused = [
                ("/predict/{service}/batch", hybrid, server.post(f"/predict/{hybrid}/batch", {})),
                ("/predict/{service}", hybrid, server.post(f"/predict/{hybrid}", {})),
                ("/lookup/{service}", batch, server.post(f"/lookup/{batch}", {})),
                ("/lookup/{service}/{entity_id:path}", batch, server.get(f"/lookup/{batch}/1")),
                ("/services/{service}", "", server.get("/services/made-up-19")),
                ("unknown", "", server.get("/made-up-20")),
            ]
        slow.close()
        for endpoint, service, answer in refused:
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
            labels = {"endpoint": endpoint, "service": service, "status": "429"}
            while value(server, "potluck_requests_total", **labels) < 1:  # hot calls: once a second
                assert time.monotonic() < deadline + 20, labels
            assert value(server, "potluck_requests_total", **labels) == 1, labels
        assert "made-up" not in server.get("/metrics").text


def test_a_champion_ages_from_when_it_was_laid_down_in_every_worker(iris: Any) -> None:
    name = "potluck_champion_age_seconds"
    champion = iris.settings.releases / "champions" / f"{iris.repo.hybrid}.json"
    before = champion.stat()
    an_hour_ago = time.time() - 3600
    os.utime(champion, (an_hour_ago, an_hour_ago))
    try:
        with iris.second_server("--workers", "2") as server:
            for _ in range(20):
                server.client.close()
                server.client = type(server.client)(timeout=30)
                assert value(server, name, service=server.repo.hybrid) == pytest.approx(
                    3600, abs=60
                )
            services = {labels[0][1] for labels in samples(server, name)}
            assert services == {server.repo.hybrid, server.repo.realtime}
    finally:
        os.utime(champion, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture
def feed(iris: Any) -> Iterator[Feed]:
    """What `materialize` left; it is put back afterwards."""
    redis = client(iris.settings)
    stored = redis.get(feed_key("iris"))
    found = read_feed(stored)
    assert found is not None
    yield found
    redis.set(feed_key("iris"), stored)


def test_a_view_ages_from_when_it_was_materialized(iris: Any, feed: Feed) -> None:
    redis, labels = client(iris.settings), {"project": "iris", "view": "petal_record"}
    name = "potluck_materialization_age_seconds"
    assert set(feed.written_at) == set(feed.views)
    age = (datetime.now(UTC) - feed.written_at["petal_record"]).total_seconds()
    assert value(iris, name, **labels) == pytest.approx(age, abs=60)
    two_hours_ago = datetime.now(UTC) - timedelta(hours=2)
    redis.set(
        feed_key("iris"),
        Feed(datetime.now(UTC), feed.views, {"petal_record": two_hours_ago}).to_json(),
    )
    assert value(iris, name, **labels) == pytest.approx(7200, abs=60)
    assert len(samples(iris, name)) == 1, "only what a champion reads"


def test_a_feed_of_an_earlier_release_ages_from_its_as_of_date_and_none_is_older_than_any_limit(
    iris: Any, feed: Feed
) -> None:
    redis, labels = client(iris.settings), {"project": "iris", "view": "petal_record"}
    name = "potluck_materialization_age_seconds"
    as_of = datetime.now(UTC) - timedelta(hours=3)
    text = f'{{"as_of": "{as_of.isoformat()}", "views": {{"petal_record": ["petal_length"]}}}}'
    redis.set(feed_key("iris"), text)
    assert value(iris, name, **labels) == pytest.approx(3 * 3600, abs=60)
    redis.set(feed_key("iris"), Feed(as_of, {}).to_json())
    assert value(iris, name, **labels) == math.inf
    redis.delete(feed_key("iris"))
    assert value(iris, name, **labels) == math.inf


def test_materializing_again_makes_a_view_young_and_keeps_the_moment_of_one_that_is_gone(
    iris: Any, feed: Feed
) -> None:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    redis = client(iris.settings)
    old = Feed(long_ago, {}, {"petal_record": long_ago, "gone": long_ago})
    redis.set(feed_key("iris"), old.to_json())
    iris.verbs(["materialize"])
    written = read_feed(redis.get(feed_key("iris")))
    assert written is not None
    assert written.written_at["gone"] == long_ago
    assert (datetime.now(UTC) - written.written_at["petal_record"]).total_seconds() < 600


def test_every_metric_is_in_the_contract(iris: Any, record: dict[str, Any]) -> None:
    iris.post(f"/predict/{iris.repo.hybrid}", record)
    text = iris.get("/metrics").text
    names = set(re.findall(r"^# TYPE (potluck_\w+) ", text, re.MULTILINE)) - {
        "potluck_request_seconds_created"
    }
    page = (ROOT / "docs" / "http-contract.md").read_text()
    assert {name for name in names if not name.endswith("_created")} <= set(
        re.findall(r"`(potluck_\w+)`", page)
    )
