"""The nightly run's reader gives what Feast's point-in-time join gives, shard by shard."""

import pickle
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from potluck.contract.accounting import (
    AFTER_AS_OF,
    DUPLICATE,
    NO_DATE,
    NO_KEY,
    OUT_OF_RANGE,
    SUPERSEDED,
)
from potluck.contract.errors import DataError, MissingStepError
from potluck.contract.fields import Field
from potluck.stores.parquet.connection import connected
from potluck.stores.parquet.population import Population
from potluck.stores.parquet.source import ParquetSource, parquet_files
from potluck.stores.parquet.source_fields import Part

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)

AS_FEAST_JOINS = """
import sys
from datetime import datetime
import pyarrow as pa
from potluck.contract.settings import load_settings
from potluck.scoring.releases import Releases
from potluck.stores.parquet.offline_reads import TIME, data_source, point_in_time, run, typed
from potluck.contract.moments import EARLIEST
from potluck.contract.champion import Champion
from potluck.stores.parquet.population import Population
from potluck.stores.definitions.repo import open_store

settings = load_settings()
store, releases = open_store(settings.repo), Releases(settings.releases)
contract = releases.open(releases.champion(sys.argv[1])).contract
for moment in sys.argv[2:]:
    as_of = datetime.fromisoformat(moment)
    source = data_source(store, contract.population)
    job = store._get_provider().offline_store.pull_latest_from_table_or_query(
        config=store.config,
        data_source=source,
        join_key_columns=[field.name for field in contract.keys],
        feature_name_columns=[field.name for field in contract.request],
        timestamp_field=source.timestamp_field,
        created_timestamp_column=None,
        start_date=EARLIEST,
        end_date=as_of,
    )
    rows = typed(run(job, source.name), [*contract.keys, *contract.request], source)
    moments = pa.array([as_of] * rows.num_rows, pa.timestamp("us", tz="UTC"))
    rows = rows.set_column(rows.column_names.index(TIME), TIME, moments)
    expected = point_in_time(store, contract, rows).table.drop_columns([TIME]).sort_by(contract.keys[0].name)
    population = Population.of(store, Champion("1", contract), as_of)
    shards = population.shards(70)
    found = pa.Table.from_batches([population.read(shard).batch for shard in shards])
    assert population.account(shards).kept == sum(shard.rows for shard in shards) == expected.num_rows > 0
    assert found.column_names == expected.column_names
    for name in found.column_names:
        assert found[name].to_pylist() == expected[name].to_pylist(), name
        assert found[name].type == expected[name].type, name
"""
DATES = (
    "2026-06-01T00:00:00+00:00",
    "2020-03-01T00:00:00.000001+00:00",
    "2009-02-01T00:00:00+00:00",
)


def test_every_repo_reads_as_feast_joins_it(stack: Any) -> None:
    known = {"houses": DATES[::2], "iris": DATES[:2]}.get(stack.repo.name, DATES[:1])
    stack.python(AS_FEAST_JOINS, stack.repo.hybrid, *known)


KEY = Field("id", "int64", "key", required=True)
SIZE, KIND = Field("size", "float64", "request"), Field("kind", "string", "online")


def write(path: Path, rows: Sequence[Mapping[str, Any]], **types: pa.DataType) -> Path:
    kinds = {
        "id": pa.int64(),
        "at": pa.timestamp("us", tz="UTC"),
        "size": pa.float64(),
        "kind": pa.string(),
        **types,
    }
    names = dict.fromkeys(name for row in rows for name in row) or dict.fromkeys(
        ("id", "at", "size")
    )
    schema = pa.schema([(name, kinds[name]) for name in names])
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema), path)
    return path


def part(
    path: Path,
    fields: Sequence[Field] = (SIZE,),
    since: datetime | None = None,
    created: str | None = None,
) -> Part:
    source = ParquetSource(path.stem, parquet_files(path.stem, str(path)), "at", created)
    return Part(
        source, "id", tuple((field, field.name) for field in fields), path.stem, NOON, since
    )


def row(entity: Any, hours: float = 0, size: float | None = 1.0, **more: Any) -> dict[str, Any]:
    return {"id": entity, "at": NOON + timedelta(hours=hours), "size": size, **more}


def population(path: Path, *views: Part, key: Field = KEY, **options: Any) -> Population:
    return Population(key, NOON, (part(path, **options), *views))


def rows(found: Population, size: int = 100) -> list[dict[str, Any]]:
    return [row for shard in found.shards(size) for row in found.read(shard).batch.to_pylist()]


def told(found: Population, size: int = 100) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Reason -> how many rows, and examples."""
    account = found.account(found.shards(size))
    assert account.came == account.kept + sum(each.count for each in account.left_out)
    return {each.reason: (each.count, each.examples) for each in account.left_out}


def test_the_latest_row_up_to_the_date_counts(tmp_path: Path) -> None:
    path = write(
        tmp_path / "p.parquet",
        [row(2, -1, 5.0), row(1, -3, 1.0), row(1, -2, 2.0), row(1, 0.001, 3.0), row(3, 1)],
    )
    found = population(path)
    assert rows(found) == [{"id": 1, "size": 2.0}, {"id": 2, "size": 5.0}]
    assert told(found) == {AFTER_AS_OF: (2, ("id=1", "id=3")), SUPERSEDED: (1, ("id=1",))}


def test_a_row_of_the_very_moment_counts(tmp_path: Path) -> None:
    assert rows(population(write(tmp_path / "p.parquet", [row(1, 0, 7.0)]))) == [
        {"id": 1, "size": 7.0}
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_shards_hold_every_entity_once_in_order(tmp_path: Path, size: int) -> None:
    path = write(
        tmp_path / "p.parquet",
        [row(entity * 3, -1, float(entity)) for entity in reversed(range(7))],
    )
    found = population(path)
    shards = found.shards(size)
    assert [shard.rows for shard in shards] == [min(size, 7 - start) for start in range(0, 7, size)]
    assert [shard.number for shard in shards] == list(range(len(shards)))
    assert rows(found, size) == [{"id": entity * 3, "size": float(entity)} for entity in range(7)]


def test_rows_without_a_key_are_counted(tmp_path: Path) -> None:
    found = population(write(tmp_path / "p.parquet", [row(1), row(None), row(None)]))
    assert rows(found) == [{"id": 1, "size": 1.0}]
    assert told(found) == {NO_KEY: (2, ("line 2", "line 3"))}


def test_of_rows_of_one_moment_the_last_one_counts(tmp_path: Path) -> None:
    found = population(
        write(
            tmp_path / "p.parquet",
            [row(1, -1, 3.0), row(1, -1, 2.0), row(2, -1, 9.0), row(1, -2, 0.0)],
        )
    )
    assert rows(found) == [{"id": 1, "size": 2.0}, {"id": 2, "size": 9.0}]
    assert told(found) == {SUPERSEDED: (1, ("id=1",)), DUPLICATE: (1, ("id=1",))}


DATED: list[tuple[datetime | None, str | None]] = [
    (datetime(1677, 12, 31, tzinfo=UTC), OUT_OF_RANGE),
    (datetime(1678, 1, 1, tzinfo=UTC), None),
    (datetime(1939, 5, 1, tzinfo=UTC), None),
    (datetime(1970, 1, 1, tzinfo=UTC), None),
    (NOON, None),
    (NOON + timedelta(microseconds=1), AFTER_AS_OF),
    (datetime(2261, 12, 31, tzinfo=UTC), AFTER_AS_OF),
    (datetime(2262, 1, 1, tzinfo=UTC), OUT_OF_RANGE),
    (None, NO_DATE),
]


@pytest.mark.parametrize(("date", "reason"), DATED, ids=str)
def test_a_row_dated_1939_counts_and_one_that_does_not_has_its_own_reason(
    tmp_path: Path, date: datetime | None, reason: str | None
) -> None:
    found = population(write(tmp_path / "p.parquet", [row(1), {"id": 7, "at": date, "size": 2.0}]))
    assert [each["id"] for each in rows(found)] == ([1] if reason else [1, 7])
    assert told(found) == ({reason: (1, ("id=7",))} if reason else {})


@pytest.mark.parametrize(("date", "reason"), DATED, ids=str)
def test_a_view_knows_an_entity_from_a_record_of_1939(
    tmp_path: Path, date: datetime | None, reason: str | None
) -> None:
    record = write(tmp_path / "v.parquet", [{"id": 1, "at": date, "kind": "old"}])
    found = population(write(tmp_path / "p.parquet", [row(1)]), part(record, [KIND]))
    assert known(found) == {1: reason is None}
    assert rows(found)[0]["kind"] == (None if reason else "old")


def known(found: Population, size: int = 100) -> dict[Any, bool]:
    answer: dict[Any, bool] = {}
    for shard in found.shards(size):
        read = found.read(shard)
        answer |= dict(zip(read.batch["id"].to_pylist(), read.known.to_pylist(), strict=True))
    return answer


def test_an_entity_is_known_however_old_its_record_is(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", [row(entity) for entity in (1, 2, 3, 4)])
    view = write(
        tmp_path / "v.parquet",
        [row(1, -9, kind="old"), row(2, -1, kind="new"), row(4, 1, kind="later")],
    )
    found = population(path, part(view, [KIND], NOON - timedelta(hours=2)))
    assert known(found) == {1: True, 2: True, 3: False, 4: False}
    assert [each["kind"] for each in rows(found)] == [None, "new", None, None]


def test_one_view_that_knows_an_entity_is_enough(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", [row(entity) for entity in (1, 2, 3)])
    first = part(write(tmp_path / "v.parquet", [row(1, kind="a")]), [KIND])
    second = part(
        write(tmp_path / "w.parquet", [row(3, -5), row(1, -5)]), [], NOON - timedelta(hours=2)
    )
    assert known(population(path, first, second), 2) == {1: True, 2: False, 3: True}


@pytest.mark.parametrize("size", [1, 2, 100])
def test_ranges_of_keys_add_up_to_the_whole(tmp_path: Path, size: int) -> None:
    records = [row(entity, -hours) for entity in range(7) for hours in range(entity)]
    found = population(
        write(tmp_path / "p.parquet", [*records, row(None), row(3, 1), row(3, 0), row(9, 2)])
    )
    assert told(found, size) == {
        NO_KEY: (1, ("line 22",)),
        AFTER_AS_OF: (2, ("id=3", "id=9")),
        SUPERSEDED: (15, ("id=2", "id=3", "id=4", "id=5", "id=6")),
        DUPLICATE: (1, ("id=3",)),
    }


def test_a_population_whose_keys_are_all_null_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").mkdir()
    for name in ("a", "b"):
        write(tmp_path / "p.parquet" / f"{name}.parquet", [row(None), row(None)])
    with pytest.raises(
        MissingStepError, match=r"4 left out: 4 no key \(a.parquet line 1, .*; correct the source"
    ):
        population(tmp_path / "p.parquet").shards()


def test_the_one_created_last_counts(tmp_path: Path) -> None:
    moments = [NOON - timedelta(minutes=minutes) for minutes in (5, 3, 4)]
    versions = [row(1, -1, float(place), made=made) for place, made in enumerate(moments)]
    path = write(tmp_path / "p.parquet", versions, made=pa.timestamp("us", tz="UTC"))
    found = population(path, created="made")
    assert told(found) == {DUPLICATE: (2, ("id=1",))}
    assert rows(found) == [{"id": 1, "size": 1.0}]


def test_a_view_is_joined_and_an_unknown_entity_has_nulls(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", [row(1), row(2), row(3)])
    known = [
        row(3, -1, kind="new"),
        row(1, -9, kind="old"),
        row(2, 1, kind="of the future"),
        row(8, -1, kind="another"),
    ]
    view = part(write(tmp_path / "v.parquet", known), [KIND])
    assert [found["kind"] for found in rows(population(path, view))] == ["old", None, "new"]


@pytest.mark.parametrize(
    ("ttl", "kinds"), [(0, ["old", "new"]), (3600, [None, "new"]), (9 * 3600, ["old", "new"])]
)
def test_a_value_older_than_its_ttl_is_missing(
    tmp_path: Path, ttl: int, kinds: list[str | None]
) -> None:
    path = write(tmp_path / "p.parquet", [row(1), row(2)])
    view = write(tmp_path / "v.parquet", [row(1, -9, kind="old"), row(2, -1, kind="new")])
    found = population(path, part(view, [KIND], NOON - timedelta(seconds=ttl) if ttl else None))
    assert [each["kind"] for each in rows(found)] == kinds


def test_keys_may_be_text_and_names_anything(tmp_path: Path) -> None:
    odd = "a \"size\", or 'not' $1"
    path = write(
        tmp_path / "it's.parquet",
        [{"id": entity, "at": NOON, odd: 1.5} for entity in ("ä", "", "a'b", "a")],
        id=pa.string(),
        **{odd: pa.float64()},
    )
    size = Field(odd, "float64", "request")
    key = Field("id", "string", "key", required=True)
    found = population(path, key=key, fields=[size])
    assert sorted(each["id"] for each in rows(found, 2)) == ["", "a", "a'b", "ä"]
    assert {each[odd] for each in rows(found, 3)} == {1.5}


@pytest.mark.parametrize(
    "kind",
    [pa.timestamp("ns", tz="UTC"), pa.timestamp("us"), pa.timestamp("ms"), pa.timestamp("ns")],
)
def test_timestamps_of_any_kind_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "p.parquet"
    moments = pa.array([NOON, NOON + timedelta(milliseconds=1)], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"id": [1, 2], "at": moments.cast(kind), "size": [1.0, 2.0]}), path)
    assert rows(population(path)) == [{"id": 1, "size": 1.0}]


def test_nan_is_missing(tmp_path: Path) -> None:
    assert rows(population(write(tmp_path / "p.parquet", [row(1, 0, float("nan"))]))) == [
        {"id": 1, "size": None}
    ]


def test_a_folder_of_files_is_one_source(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").mkdir()
    for entity in (1, 2):
        write(tmp_path / "p.parquet" / f"{entity}.parquet", [row(entity)])
    assert [each["id"] for each in rows(population(tmp_path / "p.parquet"))] == [1, 2]


def test_an_empty_source_is_a_missing_step(tmp_path: Path) -> None:
    with pytest.raises(MissingStepError, match="p holds no row up to 2026-06-01"):
        population(write(tmp_path / "p.parquet", [])).shards()


def test_it_travels_to_another_process(tmp_path: Path) -> None:
    found = population(write(tmp_path / "p.parquet", [row(1)]))
    assert rows(pickle.loads(pickle.dumps(found))) == rows(found)


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    first, again, other = (
        population(write(tmp_path / f"{name}.parquet", [row(1, size=size)])).fingerprint()
        for name, size in (("a", 1.0), ("b", 1.0), ("c", 2.0))
    )
    assert first == again != other


def check_alone(path: Path) -> None:
    with connected() as connection:
        part(path).check(connection, KEY)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", [{"id": 1, "at": NOON}])
    with pytest.raises(
        DataError, match=r"source p .*: expected the column size, got at, id; .*`potluck ingest`"
    ):
        check_alone(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"id,at,size\n1,2,3\n"])
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"source p .*: expected parquet"):
        check_alone(path)


def test_text_for_a_timestamp_a_key_or_a_number_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", [{"id": 1, "at": "noon", "size": 1.0}], at=pa.string())
    with pytest.raises(DataError, match=r"source p .*, column at: expected a timestamp"):
        check_alone(path)
    path = write(tmp_path / "q.parquet", [{"id": "one", "at": NOON, "size": 1.0}], id=pa.string())
    with pytest.raises(DataError, match="source q, column id: expected a key of type int64"):
        check_alone(path)
    path = write(tmp_path / "r.parquet", [{"id": 1, "at": NOON, "size": "wide"}], size=pa.string())
    with pytest.raises(DataError, match="size is declared float64"):
        rows(population(path))
