"""Skew: nothing is reported where nothing differs, and each cause is named with its rows."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from potluck.contract.redis_format import encode_value, entity_key
from potluck.redis.embedded import client, stop_redis
from potluck.scoring.releases import Releases
from training.moved import follow_home

STRANGER = 987654321
POTLUCK = Path(sys.executable).with_name("potluck")


@contextmanager
def copy_of(stack: Any, home: Path) -> Iterator[Any]:
    """The stack as it was built, in a home and with a server of its own."""
    shutil.copytree(stack.as_built, home)
    own = type(stack)(stack.repo, home)
    follow_home(own.settings)
    own.verbs(["apply"])
    try:
        own.serve()
        yield own
    finally:
        own.stop()
        stop_redis(own.settings)


@pytest.fixture(scope="module")
def items(everything: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with copy_of(everything, tmp_path_factory.mktemp("skew") / "home") as own:
        yield own


def skew(stack: Any, *words: str) -> dict[str, Any]:
    """What the verb finds for the hybrid service."""
    ended = stack.verb("skew", "--json", *words)
    assert ended.returncode == 0, ended.stderr
    (found,) = json.loads(ended.stdout)["services"]
    assert found["service"] == stack.repo.hybrid
    assert found["rows"] == found["compared"] + sum(found["left_out"].values())
    for feature in found["features"]:
        assert feature["rows"] == found["rows"]
        assert feature["compared"] == sum(feature["verdicts"].values())
        assert feature["rows"] == feature["compared"] + sum(feature["left_out"].values())
    return found  # type: ignore[no-any-return]


def features(found: dict[str, Any], verdict: str) -> dict[str, int]:
    """Feature -> rows with a verdict."""
    return {
        each["feature"]: each["verdicts"][verdict]
        for each in found["features"]
        if verdict in each["verdicts"]
    }


def feature(found: dict[str, Any], name: str, kind: str = "online") -> Any:
    (each,) = (one for one in found["features"] if (one["feature"], one["kind"]) == (name, kind))
    return each


def predict(stack: Any, *records: dict[str, Any]) -> str:
    """Ask for a batch; answers its request id."""
    path = f"/predict/{stack.repo.hybrid}/batch"
    answer = stack.post(path, {"dataframe_records": [*records]})
    assert answer.status_code == 200, answer.text
    wait_until_logged(stack)
    return str(answer.headers["x-request-id"])


def wait_until_logged(stack: Any) -> None:
    """The server writes and decodes what it answered soon after the answer."""
    for _ in range(1_000):
        if "\npotluck_inference_log_waiting_rows 0.0\n" in stack.get("/metrics").text:
            return
        time.sleep(0.02)
    raise AssertionError("rows are not decoded")


def now() -> str:
    time.sleep(0.001)
    return datetime.now(UTC).isoformat()


def record_of(stack: Any, number: int) -> dict[str, Any]:
    (record,) = (each for each in stack.population() if each["item_id"] == number)
    return dict(record)


def changed_repo(stack: Any, folder: Path, old: str, new: str) -> Path:
    """The stack's feature repo with other definitions."""
    repo = folder / "repo"
    shutil.copytree(stack.repo.path, repo)
    text = (repo / "definitions.py").read_text()
    assert old in text
    (repo / "definitions.py").write_text(text.replace(old, new))
    return repo


@pytest.mark.parametrize("name", ["houses", "iris", "everything"])
def test_where_nothing_differs_nothing_is_reported(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with copy_of(request.getfixturevalue(name), tmp_path / "home") as own:
        records = own.population()[:150]
        predict(own, *records)
        (key,) = [
            each
            for each in own.get(f"/services/{own.repo.hybrid}").json()["fields"]
            if each["source"] == "key"
        ]
        own.post(f"/predict/{own.repo.hybrid}", records[0])
        predict(own, {**records[0], key["name"]: STRANGER})
        found = skew(own)
        assert found["rows"] == len(records) + 2
        assert found["consistency"] == 1
        assert all(each["compared"] for each in found["features"])
        assert not any(each["examples"] for each in found["features"])
        assert f'potluck_skew_consistency{{service="{own.repo.hybrid}"}} 1.0' in (
            own.get("/metrics").text
        )


def test_a_value_that_lost_its_precision_is_named_with_its_row(items: Any) -> None:
    record, since = record_with(items, "items", "weight", 0.1 + 0.2), now()
    redis, key, field = stored(items, record, "item_record", "weight")
    before = redis.hget(key, field)
    redis.hset(key, field, encode_value(float(np.float32(0.1 + 0.2)), "float64"))
    try:
        asked = predict(items, record, record_of(items, 1))
    finally:
        redis.hset(key, field, before)
    found = skew(items, "--since", since)
    assert features(found, "type") == {"weight": 1, "load": 1}
    assert features(found, "different") == {}
    (example,) = feature(found, "weight")["examples"]
    assert (example["request_id"], example["row"]) == (asked, 0)
    assert (example["logged"], example["offline"]) == (float(np.float32(0.1 + 0.2)), 0.1 + 0.2)
    assert found["consistency"] < 1


def test_a_late_record_is_named_with_its_row_and_its_times(items: Any) -> None:
    record, since = record_with(items, "items", "weight", 0.1 + 0.2), now()
    path = items.settings.data_folder("everything") / "items.parquet"
    table = pq.read_table(path)
    dated = datetime.now(UTC) - timedelta(days=1)
    (late,) = [row for row in table.to_pylist() if row["item_id"] == record["item_id"]]
    late |= {"event_timestamp": dated, "weight": 7.5}
    pq.write_table(pa.concat_tables([table, pa.Table.from_pylist([late], table.schema)]), path)
    try:
        asked = predict(items, record_of(items, 1), record)
        found = skew(items, "--since", since)
    finally:
        pq.write_table(table, path)
    assert features(found, "late data") == {"weight": 1, "load": 1}
    assert features(found, "different") == {}
    (example,) = feature(found, "weight")["examples"]
    assert (example["request_id"], example["row"], example["offline"]) == (asked, 1, 7.5)
    assert example["offline_event_time"][:19] == f"{dated:%Y-%m-%d %H:%M:%S}"
    assert example["logged_event_time"] < example["offline_event_time"]


def test_a_default_that_changed_after_training_is_a_changed_definition(
    items: Any, tmp_path: Path
) -> None:
    old = 'Field(name="maker", dtype=String, tags={"default": ""})'
    repo = changed_repo(items, tmp_path, old, old.replace('""', '"nobody"'))
    since = now()
    without = record_with(items, "items", "maker", None)
    asked = predict(items, without, record_with(items, "items", "maker", "plain"))
    assert items.verb("apply", "--repo", str(repo)).returncode == 0
    try:
        found = skew(items, "--since", since, "--repo", str(repo))
    finally:
        items.verbs(["apply"])
    assert features(found, "changed definition") == {"maker": 1}
    (example,) = feature(found, "maker")["examples"]
    assert (example["request_id"], example["row"]) == (asked, 0)
    assert (example["logged"], example["offline"]) == ("", "nobody")


def test_a_function_that_changed_after_training_is_a_changed_definition(
    items: Any, tmp_path: Path
) -> None:
    repo = changed_repo(items, tmp_path, "year - 1900", "year - 1901")
    since = now()
    predict(items, {**record_of(items, 1), "year": 2020})
    assert items.verb("apply", "--repo", str(repo)).returncode == 0
    try:
        found = skew(items, "--since", since, "--repo", str(repo))
    finally:
        items.verbs(["apply"])
    assert features(found, "changed definition") == {"since": 1}
    assert feature(found, "since", "on-demand")["examples"][0]["offline"] == 2020 - 1901


def test_an_age_is_judged_by_the_ttl_of_the_bundle_that_answered(
    items: Any, tmp_path: Path
) -> None:
    since = now()
    predict(items, *items.population()[:40])
    repo = changed_repo(items, tmp_path, "ttl=timedelta(days=3650)", "ttl=timedelta(0)")
    assert items.verb("apply", "--breaking", "--repo", str(repo)).returncode == 0
    try:
        found = skew(items, "--since", since, "--repo", str(repo))
    finally:
        items.verbs(["apply"])
    price = feature(found, "price")
    assert (price["verdicts"].keys(), found["consistency"]) == ({"equal"}, 1)


def test_a_record_that_the_online_store_lost_is_late(items: Any) -> None:
    record, since = record_with(items, "items", "maker", "plain"), now()
    redis, key, _ = stored(items, record, "item_record", "maker")
    before = redis.hgetall(key)
    redis.delete(key)
    try:
        predict(items, record)
    finally:
        redis.hset(key, mapping=before)
    found = skew(items, "--since", since)
    assert feature(found, "maker")["verdicts"] == {"late data": 1}
    (example,) = feature(found, "maker")["examples"]
    assert (example["logged"], example["offline"]) == ("", "plain")
    assert example["logged_event_time"] is None


def test_a_missing_value_that_a_default_filled_is_named(items: Any) -> None:
    record, since = record_with(items, "items", "maker", "plain"), now()
    redis, key, field = stored(items, record, "item_record", "maker")
    before = redis.hget(key, field)
    redis.hset(key, field, b"")
    try:
        predict(items, record)
    finally:
        redis.hset(key, field, before)
    found = skew(items, "--since", since)
    assert features(found, "default") == {"maker": 1}


def test_rows_that_can_not_be_compared_are_left_out_by_reason(items: Any) -> None:
    since = now()
    wrong = {**record_of(items, 1), "wanted": "many"}
    stranger = {**record_of(items, 1), "item_id": STRANGER}
    predict(items, record_of(items, 1), wrong, stranger)
    path = items.settings.data_folder("everything") / "clicks.parquet"
    table = pq.read_table(path)
    pq.write_table(table.filter(pa.compute.not_equal(table["item_id"], 1)), path)
    try:
        found = skew(items, "--since", since)
    finally:
        pq.write_table(table, path)
    assert (found["rows"], found["compared"]) == (3, 2)
    assert found["left_out"] == {"answered with SCHEMA_VALIDATION": 1}
    page = feature(found, "last_page")
    assert page["left_out"]["the entity is not in the offline data"] == 1
    clicks_a_piece = feature(found, "clicks_a_piece", "on-demand")
    assert clicks_a_piece["left_out"]["one of its inputs was left out"] == 1


WITH_LEFT_OUT = """
import os, sys
from cli.main import potluck
os.environ["POTLUCK_INFERENCE_LEAVE_OUT"] = sys.argv[1]
potluck.main(["skew", "--json", "--since", sys.argv[2]], standalone_mode=False)
"""


def test_a_field_that_the_log_does_not_keep_is_left_out(items: Any) -> None:
    since = now()
    predict(items, record_of(items, 1))
    (found,) = json.loads(items.python(WITH_LEFT_OUT, "weight", since))["services"]
    assert feature(found, "weight")["left_out"] == {"the log does not keep the field": 1}
    assert feature(found, "load", "on-demand")["left_out"] == {"one of its inputs was left out": 1}
    assert feature(found, "price")["verdicts"] == {"equal": 1}
    (found,) = json.loads(items.python(WITH_LEFT_OUT, "item_id", since))["services"]
    assert (found["rows"], found["consistency"]) == (1, None)
    assert found["left_out"] == {"the log does not keep the join keys": 1}


def test_a_value_that_the_request_brought_is_on_both_sides(items: Any) -> None:
    record, since = record_with(items, "items", "weight", 0.1 + 0.2), now()
    redis, key, field = stored(items, record, "item_record", "weight")
    before = redis.hget(key, field)
    redis.hset(key, field, encode_value(1.25, "float64"))
    try:
        predict(items, {**record, "weight": 2.5})
    finally:
        redis.hset(key, field, before)
    found = skew(items, "--since", since)
    assert features(found, "different") == {"weight": 1}
    assert feature(found, "load", "on-demand")["verdicts"] == {"equal": 1}


def test_verbs_about_the_log_run_cold(items: Any) -> None:
    """Each in a process of its own, as a user starts it; other tests fork theirs."""
    since = now()
    predict(items, record_of(items, 1))
    window = ["--since", since]
    for words in (["log"], ["replay", *window], ["skew", *window], ["skew", "--log", *window]):
        ended = subprocess.run(
            [POTLUCK, *words], env=items.environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
    assert "potluck.skew" in ended.stderr
    assert "consistency 1.000000" in ended.stderr


FEW_AT_ONCE = """
import sys
from cli.main import potluck
from monitoring.skew import selection
selection.ROWS_AT_ONCE = 7
potluck.main(["skew", "--json", "--since", sys.argv[1]], standalone_mode=False)
"""


def test_rows_that_are_read_in_parts_add_up_to_the_same(items: Any) -> None:
    since = now()
    predict(items, *items.population()[:20])
    (in_parts,) = json.loads(items.python(FEW_AT_ONCE, since))["services"]
    assert in_parts["rows"] == 20
    assert in_parts == skew(items, "--since", since)


def test_a_service_that_was_never_logged_is_told(items: Any) -> None:
    ended = items.verb("skew", "--service", "nobody")
    assert ended.returncode == 1
    assert "holds no row of nobody yet" in ended.stderr


def test_a_sample_and_a_share_that_is_too_large(items: Any) -> None:
    since = now()
    predict(items, *items.population()[:20])
    until = now()
    assert skew(items, "--since", since, "--until", until, "--sample", "5")["rows"] == 5
    record = record_with(items, "items", "weight", 0.1 + 0.2)
    redis, key, field = stored(items, record, "item_record", "weight")
    before = redis.hget(key, field)
    redis.hset(key, field, encode_value(1.25, "float64"))
    try:
        predict(items, record)
    finally:
        redis.hset(key, field, before)
    assert skew(items, "--since", since, "--until", until)["consistency"] == 1
    assert features(skew(items, "--since", until), "different") == {"weight": 1, "load": 1}
    refused = items.verb("skew", "--since", until, "--max-share", "0.01")
    assert refused.returncode == 65
    assert "are not equal to the offline" in refused.stderr
    assert "different: logged 1.25, offline 0.3" in refused.stdout
    assert items.verb("skew", "--since", until, "--max-share", "0.9").returncode == 0


def record_with(stack: Any, source: str, column: str, value: Any) -> dict[str, Any]:
    """A request for an item whose offline record holds a value."""
    table = pq.read_table(stack.settings.data_folder("everything") / f"{source}.parquet")
    number = next(row["item_id"] for row in table.to_pylist() if row[column] == value)
    return record_of(stack, number)


def stored(stack: Any, record: dict[str, Any], view: str, feature: str) -> tuple[Any, bytes, bytes]:
    """Redis, and where an item's feature lies in it."""
    releases = Releases(stack.settings.releases)
    contract = releases.contract(releases.champion(stack.repo.hybrid))
    (found,) = (each for each in contract.views if each.name == view)
    field = bytes.fromhex(found.field_ids[found.features.index(feature)])
    key = entity_key(contract.project, ["item_id"], [record["item_id"]], ["int64"])
    return client(stack.settings), key, field
