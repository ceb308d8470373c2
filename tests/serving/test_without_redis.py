"""While the online store is away, real-time answers and everything else says so at once."""

import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from potluck.contract.redis_format import entity_key
from potluck.redis.embedded import client, ensure_redis


@pytest.fixture
def without_redis(breast_cancer: Any) -> Iterator[Any]:
    """The stack with its Redis stopped; it comes back with its data."""
    assert breast_cancer.get("/readyz").json()["online_store"] is True
    pid = redis_pid(breast_cancer)
    breast_cancer.verb("down")
    yield breast_cancer
    ensure_redis(breast_cancer.settings)
    assert redis_pid(breast_cancer) != pid


def redis_pid(stack: Any) -> int:
    return int(client(stack.settings).info("server")["process_id"])


def test_realtime_answers_and_hybrid_and_lookup_refuse(without_redis: Any) -> None:
    stack = without_redis
    row = stack.population()[0]
    key = stack.get(f"/services/{stack.repo.hybrid}").json()["entity"][0]
    alone = {name: value for name, value in row.items() if name != key}
    assert stack.post(f"/predict/{stack.repo.realtime}", alone).status_code == 200
    for answer in (
        stack.post(f"/predict/{stack.repo.hybrid}", row),
        stack.post(f"/predict/{stack.repo.hybrid}/batch", {"dataframe_records": [row]}),
        stack.get(f"/lookup/{stack.repo.batch}/{row[key]}"),
        stack.post(f"/lookup/{stack.repo.batch}", {"ids": [row[key]]}),
    ):
        assert answer.status_code == 503
        assert answer.json()["error_code"] == "FEATURE_STORE_UNAVAILABLE"
    ready = stack.get("/readyz")
    assert (ready.status_code, ready.json()["online_store"]) == (200, False)


def test_everything_answers_again_when_redis_is_back(without_redis: Any) -> None:
    stack = without_redis
    row = stack.population()[0]
    assert stack.post(f"/predict/{stack.repo.hybrid}", row).status_code == 503
    ensure_redis(stack.settings)
    assert stack.post(f"/predict/{stack.repo.hybrid}", row).status_code == 200


def test_a_frozen_redis_is_given_up_within_the_deadline(breast_cancer: Any) -> None:
    row = breast_cancer.population()[0]
    pid = redis_pid(breast_cancer)
    subprocess.run(["kill", f"-{signal.SIGSTOP.value}", str(pid)], check=True)
    try:
        answer = breast_cancer.post(f"/predict/{breast_cancer.repo.hybrid}", row)
    finally:
        subprocess.run(["kill", f"-{signal.SIGCONT.value}", str(pid)], check=True)
    assert answer.json()["error_code"] == "FEATURE_STORE_UNAVAILABLE"
    assert breast_cancer.post(f"/predict/{breast_cancer.repo.hybrid}", row).status_code == 200


def test_a_spoilt_record_harms_only_its_own_entity(breast_cancer: Any) -> None:
    rows = breast_cancer.population()[:3]
    key = breast_cancer.get(f"/services/{breast_cancer.repo.hybrid}").json()["entity"][0]
    redis = client(breast_cancer.settings)
    name = entity_key("breast_cancer", [key], [rows[1][key]], ["string"])
    kept = redis.dump(name)
    redis.set(name, b"no hash at all")
    try:
        body = breast_cancer.post(
            f"/predict/{breast_cancer.repo.hybrid}/batch", {"dataframe_records": rows}
        ).json()
    finally:
        redis.restore(name, 0, kept, replace=True)
    assert [value is None for value in body["predictions"]] == [False, True, False]
    assert body["errors"][0]["error_code"] == "FEATURE_STORE_UNAVAILABLE"
