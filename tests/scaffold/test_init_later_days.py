"""A stranger's services later on: rows and entities are added, models and definitions change."""

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from potluck.scoring.releases import Releases

PATIENCE_SECONDS = 30
MOST_ROWS = 1000
"""In one call."""
NOBODY = {"bank": 987_654, "comics": 987_654, "taxi": "R-nobody", "letters": "nobody"}


def accounts_in(told: Any) -> Iterator[dict[str, Any]]:
    """Every account, wherever it stands in what a verb tells."""
    if isinstance(told, dict):
        if {"came", "kept", "left_out"} <= told.keys():
            yield told
        told = list(told.values())
    if isinstance(told, list):
        for each in told:
            yield from accounts_in(each)


def assert_adds_up(told: Any) -> None:
    accounts = list(accounts_in(told))
    assert accounts
    for account in accounts:
        assert account["came"] == account["kept"] + sum(
            each["count"] for each in account["left_out"]
        ), account


def hybrid_record(repo: Path) -> dict[str, Any]:
    """What the README of the repo tells to send to the hybrid service."""
    lines = (repo / "README.md").read_text().splitlines()
    told = next(line for line in lines if line.startswith("potluck predict") and "_hybrid" in line)
    record = json.loads(told.split(" ", 3)[3].strip("'"))
    assert isinstance(record, dict)
    return record


def wait_for(served: Any, version: str) -> None:
    """Until the running server answers with a version."""
    path = f"/services/{served.stack.repo.hybrid}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while served.stack.get(path).json()["model_version"] != version:
        assert time.monotonic() < deadline, f"version {version} is not served"
        time.sleep(0.1)


def columns_served(served: Any) -> list[str]:
    """The columns of the champion's model."""
    releases = Releases(served.stack.settings.releases)
    release = releases.champion(served.stack.repo.hybrid)
    return [column.name for column in releases.open(release).contract.columns]


def answered(body: dict[str, Any]) -> tuple[Any, Any]:
    """What is the same whenever it is asked."""
    return body["prediction"], body.get("probabilities")


@pytest.fixture
def key(served: Any) -> str:
    return str(next(iter(hybrid_record(served.stack.repo.path))))


def test_an_entity_that_nobody_knows_is_answered_and_named(served: Any, key: str) -> None:
    record = hybrid_record(served.stack.repo.path)
    assert "not_found" not in served.ask(record)
    assert served.ask({**record, key: NOBODY[served.stranger.name]})["not_found"] == [key]


def test_every_entity_of_the_data_is_materialized_published_and_looked_up(
    served: Any, key: str
) -> None:
    verbs = [["materialize", "--json"], ["nightly", "--force", "again", "--json"]]
    materialized, night = [ended.told for ended in served.run(*verbs)]
    records = pq.read_table(
        served.stack.settings.data_folder(served.stranger.name) / "records.parquet"
    )
    entities = pc.unique(records[key]).to_pylist()
    counts = (materialized["accounts"][0]["kept"], night[0]["account"]["kept"], night[0]["rows"])
    assert counts == (len(entities),) * 3
    record = hybrid_record(served.stack.repo.path)
    for first in range(0, len(entities), MOST_ROWS):
        some = entities[first : first + MOST_ROWS]
        looked_up = served.stack.post(f"/lookup/{served.stack.repo.batch}", {"ids": some}).json()
        assert (looked_up["errors"], None in looked_up["predictions"]) == ([], False)
        rows = {"dataframe_records": [{**record, key: each} for each in some]}
        answer = served.stack.post(f"/predict/{served.stack.repo.hybrid}/batch", rows).json()
        assert (len(answer["predictions"]), answer["errors"]) == (len(some), [])
        assert not [note for note in answer.get("notes", []) if "not_found" in note]


def test_comics_of_1939_are_among_them(served: Any) -> None:
    if served.stranger.name == "comics":
        with served.file.open(encoding="cp1252", newline="") as file:
            dated = [row for row in csv.DictReader(file) if row["first appearance"]]
        records = pq.read_table(served.stack.settings.data_folder("comics") / "records.parquet")
        assert (records.num_rows, pc.min(pc.year(records["event_timestamp"])).as_py()) == (
            len(dated),
            1939,
        )


def test_rows_added_later_are_accounted_for_learnt_from_and_served(served: Any, key: str) -> None:
    stranger, hybrid = served.stranger, served.stack.repo.hybrid
    appended = ["ingest", "--append", "--json"]
    if stranger.later:
        appended.append(str(stranger.later_file(served.stack.home, served.file)))
    verbs = [["materialize", "--json"], ["nightly", "--json"], ["train", hybrid, "--json"]]
    added, *others = served.run(
        appended, *verbs, ["promote", hybrid, "--json"], ["check", "--json"]
    )
    materialized, night, trained, promoted, checked = [ended.told for ended in others]
    for told in (materialized, night, trained, checked):
        assert_adds_up(told)
    assert (trained["alias"], promoted["model_version"]) == ("challenger", trained["model_version"])
    wait_for(served, trained["model_version"])
    if not stranger.later:
        assert added.code == 2  # rows that are known by their place in the file can't be added to
        assert "APPENDABLE = False" in added.err
        return
    assert_adds_up(added.told)
    kept = len(stranger.later) - stranger.later_left_out
    grown = {name: added.told["rows"][name] - rows for name, rows in added.told["before"].items()}
    assert grown == dict.fromkeys(grown, kept)
    answer = served.ask({**hybrid_record(served.stack.repo.path), key: stranger.entity})
    assert (answer["model_version"], "not_found" in answer) == (trained["model_version"], False)
    assert served.published(stranger.entity) is not None


def test_a_column_computed_from_request_and_record_is_added(served: Any) -> None:
    hybrid, before = served.stack.repo.hybrid, columns_served(served)
    served.rewrite(
        "definitions.py",
        ("# What the night computes.", f"{served.stranger.function}# What the night computes."),
        ("features=[record, columns]", "features=[record, columns, both]"),
    )
    train = ["train", hybrid, "--promote", "--json"]
    night = ["nightly", "--force", "another model", "--json"]
    ended = served.run(["apply", "--json"], train, ["check", "--json"], night)
    applied, trained, *others = [each.told for each in ended]
    assert applied["models"][hybrid] == len(before) + 1
    for told in (trained, *others):
        assert_adds_up(told)
    wait_for(served, trained["model_version"])
    assert sorted(columns_served(served)) == sorted([*before, "together"])
    assert "prediction" in served.ask(hybrid_record(served.stack.repo.path))


def test_a_column_that_the_champion_reads_is_fed_on_while_ingest_writes_it(
    served: Any, key: str
) -> None:
    column, line = served.stranger.on_record
    record = hybrid_record(served.stack.repo.path)
    online, night = answered(served.ask(record)), served.published(record[key])
    served.rewrite("definitions.py", (line, ""))
    served.forget()
    refused, broken, *others = served.run(
        ["apply", "--json"],
        ["apply", "--breaking", "--json"],
        ["materialize", "--json"],
        ["nightly", "--force", "once more", "--json"],
    )
    assert refused.code == 65
    assert f".{column} is gone" in refused.err
    assert any(f".{column} is gone" in told for told in broken.told["broken"])
    for ended in others:
        assert_adds_up(ended.told)
    assert (answered(served.ask(record)), served.published(record[key])) == (online, night)


def test_what_ingest_no_longer_writes_is_told_before_materialize_writes(served: Any) -> None:
    column, line = served.stranger.on_record
    record = hybrid_record(served.stack.repo.path)
    before = answered(served.ask(record))
    if line in (served.stack.repo.path / "definitions.py").read_text():
        served.rewrite("definitions.py", (line, ""))
    after_record = "\n\n# What a request brings."
    served.rewrite("ingest.py", (after_record, f'\nRECORD.remove("{column}"){after_record}'))
    verbs = [["ingest", "--replace", "--json"], ["apply", "--breaking"], ["materialize", "--json"]]
    ingested, _, refused = served.run(*verbs)
    assert_adds_up(ingested.told)
    assert refused.code == 65
    assert f":{column}, which champion {served.stack.repo.hybrid} version" in refused.err
    assert answered(served.ask(record)) == before
    if served.stranger.later:  # gone from the data by now, and not from the store
        key = next(iter(record))
        assert "not_found" not in served.ask({**record, key: served.stranger.entity})
