"""The nightly run converges, follows the champion, and leaves the last run whole if it fails."""

import contextlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import warm_python
from feast import Entity, FeatureStore, FeatureView, FileSource, RepoConfig, ValueType
from feast import Field as Feature
from feast.types import String
from redis_servers import Processes, RedisProcess

from batch.failures import NOT_STORED
from batch.lease import Lease
from potluck.contract.accounting import AFTER_AS_OF, DUPLICATE, NO_KEY
from potluck.contract.publication import SLOTS, pointer_key, publication_key, slot_view
from potluck.contract.redis_format import entity_key
from potluck.redis.embedded import client
from potluck.scoring.releases import Releases

AS_OF, OTHER = "2026-06-01", "2026-08-01"
VIEW = "species_predictions"
FLOWERS = list(range(150))
FEW_ROWS_A_SHARD = {"POTLUCK_NIGHTLY_SHARD_ROWS": "40", "POTLUCK_NIGHTLY_WORKERS": "1"}

PATCHED = """
import os, signal, sys
import batch.publish
import batch.score
import batch.slot
from batch.journal import Journal
from batch.publish import BulkWriter
from batch.view import View

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def after(owner, name, then):
    plain = getattr(owner, name)
    def patched(*arguments, **named):
        answer = plain(*arguments, **named)
        then(*arguments)
        return answer
    setattr(owner, name, patched)

{patch}
from cli.main import main
sys.argv = ["potluck", "nightly", *sys.argv[1:], "--json"]
main()
"""
DIES_AFTER = {
    **{
        step: f"after(Journal, 'begin', lambda journal, name: name == '{step}' and die())"
        for step in ("validate", "score", "stage", "verify", "publish", "history", "prune")
    },
    "a scored shard": "after(Journal, 'note_shard', lambda *_: die())",
    "a written shard": "after(BulkWriter, 'write', lambda writer, *_: (writer.flush(), die()))",
    "the switch": "after(View, 'switch', lambda *_: die())",
}
FAILS_ON_WIDE_SEPALS = """
from potluck.contract.errors import DataError
from potluck.scoring.model import Model
plain = Model.score
def score(model, inputs, times):
    if any(value is not None and value > {widest} for value in inputs["sepal_length"]):
        raise DataError("on-demand function sepals failed: ZeroDivisionError")
    return plain(model, inputs, times)
Model.score = score
"""
TEN_RUNS = """
import sys
from datetime import UTC, datetime
import pyarrow as pa
import batch.score
from batch.nightly import run_nightly
from potluck.contract.settings import load_settings
plain = batch.score.score_batch
def numbered(model, batch_of_rows, as_of):
    rows = plain(model, batch_of_rows, as_of)
    text = pa.array(['{"setosa": %d.0}' % as_of.day] * rows.num_rows)
    return rows.set_column(rows.schema.get_field_index("probabilities"), "probabilities", text)
batch.score.score_batch = numbered
for day in range(1, 11):
    night = run_nightly(load_settings(), datetime(2026, 7, day, tzinfo=UTC))
    assert not night.errors, night.errors
    print(night.runs[0].run_id, flush=True)
"""


@pytest.fixture
def last_run(iris: Any) -> Iterator[dict[str, Any]]:
    """What is published before the test; the same champion and run are put back afterwards."""
    releases = Releases(iris.settings.releases)
    champion, held = releases.champion(iris.repo.hybrid), everything(iris)
    kept = {
        path: path.read_bytes()
        for path in (iris.settings.data_folder("iris") / "predictions.parquet").iterdir()
    }
    yield published(iris)
    releases.promote(champion)
    put_back(iris, held)
    for path, content in kept.items():
        path.write_bytes(content)


@pytest.fixture
def population(iris: Any) -> Iterator[Path]:
    """The population's file; put back afterwards."""
    path = iris.settings.data_folder("iris") / "population.parquet"
    content = path.read_bytes()
    yield path
    path.write_bytes(content)


def published(stack: Any) -> dict[str, Any]:
    ids = FLOWERS
    body = stack.post(f"/lookup/{stack.repo.batch}", {"ids": ids}).json()
    return {
        name: body[name]
        for name in ("predictions", "probabilities", "run_id", "as_of", "model_version")
    }


def left_out(summary: dict[str, Any]) -> dict[str, list[Any]]:
    """Reason -> how many of the population's rows, and examples."""
    return {
        each["reason"]: [each["count"], each["examples"]] for each in summary["account"]["left_out"]
    }


def run(
    stack: Any, *words: str, patch: str | None = None, text: bool = False, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """`potluck nightly …`, by default with `--json`, in a process where something fails."""
    start = ["-m", "cli.main", "nightly", *words, *([] if text else ["--json"])]
    if patch is not None:
        start = ["-W", "ignore", "-c", PATCHED.replace("{patch}", patch), *words]
    environment = {**stack.environment, **variables}
    command = [sys.executable, *start]
    return warm_python.run(
        command, env=environment, capture_output=True, text=True, cwd=stack.home, timeout=120
    )


def nightly(stack: Any, as_of: str = AS_OF, *words: str, **variables: str) -> dict[str, Any]:
    ended = run(stack, "--as-of", as_of, *words, **variables)
    assert ended.returncode == 0, ended.stderr
    (summary,) = json.loads(ended.stdout)
    return dict(summary)


def history(stack: Any) -> list[dict[str, Any]]:
    return pq.read_table(stack.settings.data_folder("iris") / "predictions.parquet").to_pylist()


def test_the_same_run_again_is_already_done(iris: Any, last_run: dict[str, Any]) -> None:
    kept = history(iris)
    summary = nightly(iris)
    assert (summary["status"], summary["run_id"]) == ("already done", last_run["run_id"])
    assert published(iris) == last_run
    assert history(iris) == kept


def test_the_same_date_after_a_retraining_changes_the_predictions(
    iris: Any, last_run: dict[str, Any]
) -> None:
    trained = json.loads(
        iris.verb(
            "train", iris.repo.hybrid, "--param", "learning_rate=0.03", "--promote", "--json"
        ).stdout
    )
    summary = nightly(iris)
    now = published(iris)
    assert (
        now["model_version"]
        == summary["model_version"]
        == trained["model_version"]
        != last_run["model_version"]
    )
    assert now["probabilities"] != last_run["probabilities"]
    assert {
        row["run_id"] for row in history(iris) if row["event_timestamp"].isoformat()[:10] == AS_OF
    } == {now["run_id"]}


def test_another_date_is_kept_beside_the_first(iris: Any, last_run: dict[str, Any]) -> None:
    other = nightly(iris, "2026-06-02")
    assert other["status"] == "published"
    assert published(iris)["run_id"] == other["run_id"]
    assert {last_run["run_id"], other["run_id"]} <= {row["run_id"] for row in history(iris)}


def test_engines_and_shards_make_no_difference(iris: Any, last_run: dict[str, Any]) -> None:
    """One process, two processes with small shards, Ray: the same rows to the bit."""
    ways = [
        {},
        {"POTLUCK_NIGHTLY_SHARD_ROWS": "40", "POTLUCK_NIGHTLY_WORKERS": "2"},
        {
            "POTLUCK_NIGHTLY_SHARD_ROWS": "70",
            "POTLUCK_NIGHTLY_WORKERS": "2",
            "POTLUCK_NIGHTLY_ENGINE": "ray",
        },
    ]
    rows = []
    for day, variables in enumerate(ways, start=11):
        summary = nightly(iris, f"2026-06-{day}", **variables)
        assert (summary["status"], summary["rows"], summary["failed_rows"]) == ("published", 150, 0)
        found = published(iris)
        assert found["run_id"] == summary["run_id"]
        rows.append([found["predictions"], found["probabilities"]])
    assert rows == [rows[0]] * len(ways)


def snapshot(stack: Any) -> dict[bytes, Any]:
    """Every field of every entity; of the pointer what readers see, without token and moment."""
    store = client(stack.settings)
    held: dict[bytes, Any] = {
        bytes(name): store.hgetall(name)
        for name in store.scan_iter(b"*")
        if b"potluck:" not in name
    }
    pointer = json.loads(store.get(pointer_key("iris", VIEW)))
    return {
        **held,
        b"pointer": {
            name: pointer[name] for name in ("slot", "run_id", "as_of", "rows", "model_version")
        },
    }


def put_back(stack: Any, held: dict[bytes, bytes]) -> None:
    store = client(stack.settings)
    for name in list(store.scan_iter(b"*")):
        if name not in held:
            store.delete(name)
    for name, content in held.items():
        store.restore(name, 0, content, replace=True)


def everything(stack: Any) -> dict[bytes, bytes]:
    store = client(stack.settings)
    return {bytes(name): store.dump(name) for name in store.scan_iter(b"*")}


@pytest.fixture(scope="module")
def undisturbed(iris: Any) -> tuple[dict[bytes, Any], dict[str, Any]]:
    """What a run that nobody kills leaves, in Redis and for readers; it is undone."""
    before = everything(iris)
    nightly(iris, OTHER, **FEW_ROWS_A_SHARD)
    left = snapshot(iris), published(iris)
    put_back(iris, before)
    return left


@pytest.mark.parametrize("moment", DIES_AFTER)
def test_killed_at_any_moment_the_last_run_stays_whole_and_the_next_one_converges(
    iris: Any,
    undisturbed: tuple[dict[bytes, Any], dict[str, Any]],
    last_run: dict[str, Any],
    moment: str,
) -> None:
    held, expected = undisturbed
    forget(iris, OTHER)
    ended = run(iris, "--as-of", OTHER, patch=DIES_AFTER[moment], **FEW_ROWS_A_SHARD)
    assert ended.returncode == -9, ended.stderr
    assert published(iris) == (
        expected if moment in ("the switch", "history", "prune") else last_run
    )
    summary = nightly(iris, OTHER, "--resume", **FEW_ROWS_A_SHARD)
    assert summary["status"] == "published"
    assert published(iris) == expected
    assert snapshot(iris) == held
    assert summary["resumed_shards"] == {"validate": 0, "score": 0, "a scored shard": 1}.get(
        moment, 4
    )


def forget(stack: Any, as_of: str) -> None:
    """As if a run had never been."""
    day = as_of.replace("-", "")
    for path in (stack.home / "runs" / stack.repo.batch).glob(f"{day}*"):
        shutil.rmtree(path)
    for path in (stack.settings.data_folder("iris") / "predictions.parquet").glob(f"{day}*"):
        path.unlink()


def test_readers_never_see_two_runs_in_one_answer(iris: Any, last_run: dict[str, Any]) -> None:
    ids = FLOWERS
    answers, done = [], threading.Event()

    def hammer() -> None:
        with contextlib.closing(type(iris.client)(timeout=30)) as http:
            while not done.is_set():
                answers.append(
                    http.post(
                        f"{iris.url}/lookup/{iris.repo.batch}", content=json.dumps({"ids": ids})
                    ).json()
                )

    readers = [threading.Thread(target=hammer) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        runs = iris.python(TEN_RUNS).split()
    finally:
        done.set()
        for reader in readers:
            reader.join()
    seen = {}
    for answer in answers:
        assert answer["errors"] == [], "every id is there at every moment"
        shares = {json.dumps(each) for each in answer["probabilities"]}
        if answer["run_id"] == last_run["run_id"]:
            assert answer["probabilities"] == last_run["probabilities"]
        else:
            assert len(shares) == 1, "one run"
            seen.setdefault(answer["run_id"], shares)
            assert seen[answer["run_id"]] == shares
    assert len(seen) > 3
    assert set(seen) <= set(runs)


def test_a_run_is_rolled_back_at_once(iris: Any, last_run: dict[str, Any]) -> None:
    nightly(iris, "2026-06-02")
    ended = run(iris, "--rollback")
    assert ended.returncode == 0, ended.stderr
    (summary,) = json.loads(ended.stdout)
    assert (summary["status"], summary["run_id"]) == ("rolled back", last_run["run_id"])
    assert published(iris) == last_run


def test_where_there_is_no_run_before_a_rollback_says_so(
    iris: Any, last_run: dict[str, Any]
) -> None:
    nightly(iris, "2026-06-05")
    assert run(iris, "--as-of", "2026-06-06", patch=DIES_AFTER["a written shard"]).returncode == -9
    ended = run(iris, "--rollback")
    assert ended.returncode == 1
    assert "no run to roll back to" in ended.stderr


def test_only_records_up_to_the_date_are_scored(iris: Any, last_run: dict[str, Any]) -> None:
    """One flower a day was seen from 2020-01-01 on."""
    refused = run(iris, "--as-of", "2020-01-10")
    assert refused.returncode == 65
    assert "10 rows after 150 last time" in refused.stderr
    assert published(iris) == last_run
    summary = json.loads(run(iris, "--resume", "--force", "the first days again").stdout)[0]
    assert (summary["rows"], summary["forced"]) == (10, "the first days again")
    assert summary["resumed_shards"] == 1, "nothing is scored twice"
    body = iris.post(
        f"/lookup/{iris.repo.batch}", {"ids": [row["flower_id"] for row in iris.population()]}
    ).json()
    assert sum(value is not None for value in body["predictions"]) == 10, (
        "the others left with the published run"
    )
    manifest = iris.home / "runs" / iris.repo.batch / summary["run_id"] / "manifest.json"
    assert json.loads(manifest.read_text())["forced"] == "the first days again"


def test_a_date_before_all_records_is_an_error_that_says_so(
    iris: Any, last_run: dict[str, Any]
) -> None:
    ended = run(iris, "--as-of", "1999-01-01")
    assert ended.returncode == 1
    assert "population holds no row up to 1999-01-01" in ended.stderr
    assert published(iris) == last_run


def test_two_runs_never_work_at_once(iris: Any) -> None:
    with Lease(client(iris.settings), "iris", VIEW):
        ended = run(iris, "--as-of", "2026-06-07")
    assert ended.returncode == 75
    assert "another nightly run of species_predictions is at work (process " in ended.stderr


def test_a_row_that_can_not_be_scored_is_left_out_and_named(
    iris: Any, last_run: dict[str, Any]
) -> None:
    (worst,) = [row for row in iris.population() if row["sepal_length"] > 7.85]
    ended = run(iris, "--as-of", "2026-06-04", patch=FAILS_ON_WIDE_SEPALS.format(widest=7.85))
    assert ended.returncode == 0, ended.stderr
    (summary,) = json.loads(ended.stdout)
    assert (summary["rows"], summary["failed_rows"]) == (149, 1)
    assert left_out(summary) == {
        "could not be scored: on-demand function sepals failed: ZeroDivisionError": [
            1,
            [f"flower_id={worst['flower_id']}"],
        ]
    }
    assert (
        iris.get(f"/lookup/{iris.repo.batch}/{worst['flower_id']}").json()["error_code"]
        == "ENTITY_NOT_FOUND"
    )
    assert published(iris)["run_id"] == summary["run_id"] != last_run["run_id"]


def test_too_many_failed_rows_refuse_the_run(iris: Any, last_run: dict[str, Any]) -> None:
    ended = run(iris, "--as-of", "2026-06-08", patch=FAILS_ON_WIDE_SEPALS.format(widest=0))
    assert ended.returncode == 65, ended.stderr
    assert (
        "150 of 150 entities have no prediction (150 could not be scored: on-demand function"
        in ended.stderr
    )
    assert published(iris) == last_run


def test_rows_that_do_not_count_are_counted_and_named(
    iris: Any, last_run: dict[str, Any], population: Path
) -> None:
    """A row without a key, one of the future, an entity twice at the same moment."""
    rows = pq.read_table(population)
    place = rows.schema.get_field_index("flower_id")
    without_key = rows.slice(0, 1).set_column(
        place, "flower_id", pa.nulls(1, rows.schema.types[place])
    )
    moments = rows.schema.get_field_index("event_timestamp")
    later = pa.array(
        [pc.max(rows["event_timestamp"]).as_py().replace(year=2199)], rows.schema.types[moments]
    )
    future = rows.slice(1, 1).set_column(moments, "event_timestamp", later)
    pq.write_table(pa.concat_tables([rows, without_key, future, rows.slice(2, 1)]), population)
    told = run(iris, "--as-of", "2026-06-09", text=True).stdout
    second, third = (rows["flower_id"][place].as_py() for place in (1, 2))
    assert (
        "population: 153 rows came, 150 kept, 3 left out: 1 no key (line 151); "
        f"1 dated after the as-of date (flower_id={second}); 1 {DUPLICATE} (flower_id={third})"
    ) in told
    again = nightly(iris, "2026-06-09")
    assert (again["status"], again["rows"], again["account"]["came"], again["account"]["kept"]) == (
        "already done",
        150,
        153,
        150,
    )
    assert left_out(again) == {
        NO_KEY: [1, ["line 151"]],
        AFTER_AS_OF: [1, [f"flower_id={second}"]],
        DUPLICATE: [1, [f"flower_id={third}"]],
    }
    assert published(iris)["predictions"] == last_run["predictions"]


def test_an_entity_whose_key_holds_something_else_is_named_and_the_rows_add_up(
    iris: Any, processes: Processes
) -> None:
    elsewhere = processes.start()
    elsewhere.client.set(entity_key("iris", ["flower_id"], [7], ["int64"]), "something else")
    ended = run(iris, "--as-of", "2026-06-23", REDIS_URL=url(elsewhere))
    assert ended.returncode == 0, ended.stderr
    (summary,) = json.loads(ended.stdout)
    assert summary["rows"] == summary["account"]["kept"] == 149
    assert left_out(summary) == {NOT_STORED: [1, ["flower_id=7"]]}


@pytest.mark.parametrize(
    "harm", ["missing column", "text for a number", "not parquet", "gone", "empty"]
)
def test_a_population_that_can_not_be_read_is_an_error_that_names_it(
    iris: Any, last_run: dict[str, Any], population: Path, harm: str
) -> None:
    rows = pq.read_table(population)
    if harm == "missing column":
        pq.write_table(rows.drop_columns(["sepal_length"]), population)
    elif harm == "text for a number":
        place = rows.schema.get_field_index("sepal_length")
        pq.write_table(
            rows.set_column(place, "sepal_length", pa.array(["wide"] * rows.num_rows)), population
        )
    elif harm == "not parquet":
        population.write_bytes(b"flower_id,sepal_length\n1,2\n")
    elif harm == "gone":
        population.unlink()
    else:
        pq.write_table(rows.slice(0, 0), population)
    ended = run(iris, "--as-of", "2026-06-10")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    message = json.loads(ended.stderr.splitlines()[-1])["message"]
    assert "population" in message
    if harm in ("missing column", "text for a number"):
        assert "sepal_length" in message


def test_sources_that_change_meanwhile_publish_nothing(
    iris: Any, last_run: dict[str, Any], population: Path
) -> None:
    touched = (
        f"after(Journal, 'note_shard', lambda *_: open({str(population)!r}, 'ab').write(b'x'))"
    )
    ended = run(iris, "--as-of", "2026-06-22", patch=touched)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "the sources changed while they were read" in ended.stderr
    assert published(iris) == last_run


def test_a_redis_that_is_nearly_full_refuses_the_run_before_it_is_written(
    iris: Any, processes: Processes
) -> None:
    elsewhere = processes.start()
    used = int(elsewhere.client.info("memory")["used_memory"])
    elsewhere.client.config_set("maxmemory", used + 30_000)
    ended = run(iris, "--as-of", "2026-06-20", REDIS_URL=url(elsewhere))
    assert ended.returncode == 65, ended.stderr
    assert "would pass Redis' maxmemory" in ended.stderr
    assert not [name for name in elsewhere.client.scan_iter(b"*") if b"potluck:" not in name]


FULL = """
batch.slot.check_memory = lambda *_: batch.preflight.Estimate(0, 0, 0)
import redis
redis.Redis.from_url(os.environ['REDIS_URL']).config_set('maxmemory', '1mb')
"""
GONE = """
import redis
def stop(writer, *_):
    writer.flush()
    redis.Redis.from_url(os.environ['REDIS_URL']).shutdown(nosave=True)
after(BulkWriter, 'write', stop)
"""


@pytest.mark.parametrize("patch", [FULL, GONE], ids=["full", "gone"])
def test_a_redis_that_fails_midway_publishes_nothing(
    iris: Any, processes: Processes, patch: str
) -> None:
    elsewhere = processes.start()
    ended = run(
        iris, "--as-of", "2026-06-21", patch=patch, REDIS_URL=url(elsewhere), **FEW_ROWS_A_SHARD
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "Redis" in ended.stderr
    assert "Traceback" not in ended.stderr
    if "maxmemory" in patch:
        assert elsewhere.client.get(pointer_key("iris", VIEW)) is None
        assert elsewhere.client.get(publication_key("iris", VIEW, "lease")) is None, (
            "the lease was given back"
        )


def url(process: RedisProcess) -> str:
    return f"redis://127.0.0.1:{process.port}/0"


def test_stock_feast_sees_two_slot_views(
    iris: Any, last_run: dict[str, Any], tmp_path: Path
) -> None:
    """Stock Feast knows no pointer: who declares a slot as a view reads what lies in it."""
    other = nightly(iris, "2026-06-02")
    rows = [{"flower_id": flower} for flower in FLOWERS]
    read = {slot: stock_reads(iris, slot_view(VIEW, slot), rows, tmp_path / slot) for slot in SLOTS}
    assert {run for found in read.values() for run in found["run_id"]} == {
        last_run["run_id"],
        other["run_id"],
    }
    for found in read.values():
        assert found["prediction"] == last_run["predictions"], (
            "two dates, one model, the same flowers"
        )


def stock_reads(
    stack: Any, view: str, rows: list[dict[str, Any]], folder: Path
) -> dict[str, list[Any]]:
    where = f"localhost:0,unix_socket_path={stack.settings.redis_socket}"
    store = FeatureStore(
        config=RepoConfig(
            project="iris",
            provider="local",
            registry={"registry_type": "file", "path": str(folder / "registry.db")},
            offline_store={"type": "duckdb"},
            online_store={"type": "redis", "connection_string": where},
            entity_key_serialization_version=3,
        )
    )
    flower = Entity(name="flower", join_keys=["flower_id"], value_type=ValueType.INT64)
    source = FileSource(
        path=str(stack.settings.data_folder("iris") / "predictions.parquet"),
        timestamp_field="event_timestamp",
    )
    fields = [Feature(name=name, dtype=String) for name in ("prediction", "run_id")]
    store.apply(
        [
            flower,
            FeatureView(
                name=view, entities=[flower], schema=fields, source=source, ttl=timedelta(0)
            ),
        ]
    )
    return dict(store.get_online_features([f"{view}:prediction", f"{view}:run_id"], rows).to_dict())
