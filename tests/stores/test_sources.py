"""From `ingest.py` to parquet: types, nulls, what is left out, what is added, and all or
nothing."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import potluck.stores.ingest.swap
from potluck.contract.accounting import DUPLICATE, NO_DATE, NO_KEY, OUT_OF_RANGE
from potluck.contract.errors import DataError, Locked, Refused, UsageError
from potluck.contract.lock import exclusive
from potluck.stores.ingest.fewer_rows import FewerRows
from potluck.stores.ingest.ingest_file import load_ingest
from potluck.stores.ingest.sources import LOCK_FILE, Written, write_parquet, write_sources

NOON = datetime(2010, 7, 31, 12, 0, 0, 123456, tzinfo=UTC)


def written(folder: Path, column: Any) -> pa.Table:
    write_sources(folder, {"rows": pa.table({"value": column})})
    return pq.read_table(folder / "rows.parquet")


def names(folder: Path) -> list[str]:
    """What readers see: names that begin with a dot are the ingest's own."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_each_source_is_a_file_with_its_rows(tmp_path: Path) -> None:
    written = write_sources(
        tmp_path / "new", {"one": pa.table({"a": [1, 2]}), "two": pa.table({"b": ["x"]})}
    )
    assert written.rows == {"one": 2, "two": 1}
    assert written.before == {"one": 0, "two": 0}
    assert names(tmp_path / "new") == ["one.parquet", "two.parquet"]


@pytest.mark.parametrize("dtype", [pa.float64(), pa.float32()])
def test_nan_becomes_null_and_other_values_stay(tmp_path: Path, dtype: pa.DataType) -> None:
    column = pa.array([0.5, float("nan"), None, float("inf"), -0.0], dtype)
    found = written(tmp_path, column)["value"]
    assert found.type == pa.float64()
    assert found.to_pylist() == [0.5, None, None, float("inf"), -0.0]


def test_every_integer_is_an_int64(tmp_path: Path) -> None:
    assert written(tmp_path, pa.array([1, None], pa.int8()))["value"].type == pa.int64()


@pytest.mark.parametrize("value", [2**53, -(2**53), 0])
def test_integers_up_to_two_to_the_53_pass(tmp_path: Path, value: int) -> None:
    assert written(tmp_path, pa.array([value, None], pa.int64()))["value"].to_pylist() == [
        value,
        None,
    ]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (2**53 + 1, pa.int64()),
        (-(2**53) - 1, pa.int64()),
        (-(2**63), pa.int64()),
        (2**63, pa.uint64()),
    ],
)
def test_integers_beyond_it_are_refused_by_source_and_column(
    tmp_path: Path, value: int, dtype: pa.DataType
) -> None:
    with pytest.raises(DataError, match=r"rows\.value holds .*, beyond ±2\^53"):
        written(tmp_path, pa.array([1, value], dtype))


@pytest.mark.parametrize(
    "dtype", [pa.int64(), pa.float64(), pa.string(), pa.timestamp("ns", "UTC")]
)
@pytest.mark.parametrize("values", [[], [None, None]])
def test_a_column_without_values_is_written(
    tmp_path: Path, dtype: pa.DataType, values: list[None]
) -> None:
    assert written(tmp_path, pa.array(values, dtype))["value"].to_pylist() == values


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Vienna"])
def test_timestamps_are_microseconds_in_utc(tmp_path: Path, unit: str, zone: str | None) -> None:
    moment = NOON if unit in ("us", "ns") else NOON.replace(microsecond=0)
    found = written(
        tmp_path, pa.array([moment, None], pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, zone))
    )
    assert found["value"].type == pa.timestamp("us", tz="UTC")
    assert found["value"].to_pylist() == [moment, None]


def test_nanoseconds_are_cut_and_not_refused(tmp_path: Path) -> None:
    column = pa.array([int(NOON.timestamp()) * 10**9 + 123456789], pa.timestamp("ns", "UTC"))
    assert written(tmp_path, column)["value"].to_pylist() == [NOON]


def test_text_and_booleans_stay_as_they_are(tmp_path: Path) -> None:
    assert written(tmp_path, pa.array(["", "NaN", None]))["value"].to_pylist() == ["", "NaN", None]
    assert written(tmp_path, pa.array([True, None]))["value"].type == pa.bool_()


def test_a_source_is_replaced_whole(tmp_path: Path) -> None:
    written(tmp_path, [1, 2, 3])
    assert written(tmp_path, ["a"])["value"].to_pylist() == ["a"]


def test_one_wrong_table_replaces_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    write_sources(tmp_path, {"one": pa.table({"a": [1]}), "two": pa.table({"b": [1]})})
    with pytest.raises(DataError):
        write_sources(
            tmp_path,
            {"one": pa.table({"a": [2]}), "two": pa.table({"b": [2**60]}), "three": pa.table({})},
        )
    assert names(tmp_path) == ["one.parquet", "two.parquet"]
    assert pq.read_table(tmp_path / "one.parquet")["a"].to_pylist() == [1]


def test_a_table_that_parquet_can_not_hold_replaces_nothing(tmp_path: Path) -> None:
    write_sources(tmp_path, {"one": pa.table({"a": [1]})})
    unwritable = pa.table({"b": pa.array([None], pa.month_day_nano_interval())})
    with pytest.raises(DataError, match="month_day_nano_interval"):
        write_sources(tmp_path, {"one": pa.table({"a": [2]}), "two": unwritable})
    assert names(tmp_path) == ["one.parquet"]
    assert pq.read_table(tmp_path / "one.parquet")["a"].to_pylist() == [1]


def test_a_schema_makes_a_folder_for_others_to_fill(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", tz="UTC"))])
    assert write_sources(tmp_path, {"history": schema}).rows == {"history": 0}
    assert pq.read_table(tmp_path / "history.parquet").schema.equals(schema)


def test_a_schema_leaves_what_others_filled(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64())])
    write_sources(tmp_path, {"history": schema})
    write_parquet(tmp_path / "history.parquet" / "1.parquet", pa.table({"id": [1, 2]}))
    assert write_sources(tmp_path, {"history": schema}).rows == {}
    assert pq.read_table(tmp_path / "history.parquet").num_rows == 2


def test_the_ingest_of_a_repo_is_loaded_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_ingest.py").write_text("ROWS = 3\n")
    (tmp_path / "ingest.py").write_text(
        "import pyarrow as pa\nfrom neighbour_of_ingest import ROWS\n\n"
        "def ingest(files, rows, seed):\n    return {'all': pa.table({'a': [ROWS, rows, seed]})}\n"
    )
    assert load_ingest(tmp_path)((), 7, 1)["all"] == pa.table({"a": [3, 7, 1]})


@pytest.mark.parametrize("text", [None, "", "ingest_ = print\n"])
def test_a_repo_without_an_ingest_is_a_usage_error(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ingest.py").write_text(text)
    with pytest.raises(UsageError, match=r"ingest\(files, rows, seed\)"):
        load_ingest(tmp_path)


@pytest.mark.parametrize("given", ["None", "[]", "{}", "{'all': [1, 2]}"])
def test_an_ingest_that_gives_no_tables_is_told(tmp_path: Path, given: str) -> None:
    (tmp_path / "ingest.py").write_text(f"def ingest(files, rows, seed):\n    return {given}\n")
    with pytest.raises(DataError, match="expected"):
        load_ingest(tmp_path)((), 1, 1)


def day(year: int) -> datetime:
    return datetime(year, 3, 1, tzinfo=UTC)


def table(ids: Any, times: Any, values: Any) -> pa.Table:
    return pa.table(
        {
            "id": ids,
            "event_timestamp": pa.array(times, pa.timestamp("us", "UTC")),
            "value": pa.array(values),
        }
    )


def put(
    folder: Path, rows: pa.Table, *, keys: tuple[str, ...] = ("id",), adding: bool = False
) -> Written:
    return write_sources(folder, {"rows": rows}, keys={"rows": keys}, adding=adding)


def values(folder: Path) -> list[Any]:
    return list(pq.read_table(folder / "rows.parquet")["value"].to_pylist())


def test_rows_of_1939_come_in(tmp_path: Path) -> None:
    (account,) = put(tmp_path, table([1, 2], [day(1939), day(1962)], [5, 6])).accounts
    assert (account.came, account.kept, account.left_out) == (2, 2, ())
    assert values(tmp_path) == [5, 6]


def test_rows_that_no_later_step_can_use_are_left_out_and_told(tmp_path: Path) -> None:
    times = [day(1500), None, day(2000), day(2000), day(2262), day(2000), day(2000)]
    (account,) = put(tmp_path, table([1, 2, 3, 3, 4, None, 5], times, list(range(7)))).accounts
    assert (account.came, account.kept) == (7, 2)
    assert values(tmp_path) == [3, 6]
    told = {each.reason: (each.count, each.examples) for each in account.left_out}
    assert told == {
        NO_KEY: (1, ("row 6",)),
        NO_DATE: (1, ("id=2",)),
        OUT_OF_RANGE: (2, ("id=1", "id=4")),
        DUPLICATE: (1, ("id=3",)),
    }


IDS, VALUES = st.sampled_from([None, 1, 2, 3]), st.sampled_from([None, 5, 6])
TIMES = st.sampled_from([None, day(1500), day(1939), day(2000), day(2300)])
ROWS = st.lists(st.tuples(IDS, TIMES, VALUES), max_size=12)


def counted_by_hand(rows: list[Any]) -> dict[Any, Any]:
    """Id and time -> the last value, of the rows that have both and lie in the range."""
    return {(key, at): value for key, at, value in rows if key and at and 1678 <= at.year < 2262}


@given(first=ROWS, second=ROWS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_add_up_and_the_last_row_of_a_key_and_time_counts_whatever_comes(
    tmp_path_factory: pytest.TempPathFactory, first: list[Any], second: list[Any]
) -> None:
    folder, known = tmp_path_factory.mktemp("any"), {}
    for rows, adding in ((first, False), (second, True), (second, True)):
        ids, times, found = zip(*rows, strict=True) if rows else ((), (), ())
        came = table(pa.array(ids, pa.int64()), list(times), pa.array(found, pa.int64()))
        written = put(folder, came, adding=adding)
        (account,) = written.accounts
        assert account.came == len(rows)
        assert account.kept == len(counted_by_hand(rows))
        known |= counted_by_hand(rows)
        assert written.rows["rows"] == len(known)
    held = pq.read_table(folder / "rows.parquet").to_pylist()
    assert {(row["id"], row["event_timestamp"]): row["value"] for row in held} == known


def test_without_keys_the_same_row_twice_stays_twice(tmp_path: Path) -> None:
    (account,) = put(tmp_path, table([3, 3], [day(2000)] * 2, [1, 1]), keys=()).accounts
    assert account.kept == 2


def test_a_day_is_a_timestamp(tmp_path: Path) -> None:
    write_sources(tmp_path, {"rows": pa.table({"event_timestamp": pa.array([day(1939).date()])})})
    assert pq.read_table(tmp_path / "rows.parquet")["event_timestamp"].to_pylist() == [day(1939)]


def test_the_same_file_appended_twice_changes_nothing(tmp_path: Path) -> None:
    for keys in (("id",), ()):
        folder = tmp_path / f"keys-{len(keys)}"
        first, second = (
            table([1, 2], [day(2000)] * 2, [5, None]),
            table([3, 3], [day(2000), day(2001)], [7, 8]),
        )
        put(folder, first, keys=keys)
        for before in (2, 4, 4):
            written = put(folder, second, keys=keys, adding=True)
            assert (written.before["rows"], written.rows["rows"]) == (before, 4)
        assert values(folder) == [5, None, 7, 8]


def test_a_corrected_value_replaces_the_one_of_the_same_key_and_time(tmp_path: Path) -> None:
    put(tmp_path, table([1, 2], [day(2000)] * 2, [5, 6]))
    put(tmp_path, table([1, 1], [day(2000), day(2001)], [50, 51]), adding=True)
    assert values(tmp_path) == [6, 50, 51]


def test_rows_alike_that_were_there_stay_when_others_are_appended(tmp_path: Path) -> None:
    put(tmp_path, table([1, 1], [day(2000)] * 2, [5, 5]), keys=())
    put(tmp_path, table([1, 2], [day(2000)] * 2, [5, 6]), keys=(), adding=True)
    assert values(tmp_path) == [5, 5, 6]


def test_appending_to_nothing_is_a_first_ingest(tmp_path: Path) -> None:
    assert put(tmp_path, table([1], [day(2000)], [5]), adding=True).rows == {"rows": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows.append_column("more", pa.array([1])), "have the column more"),
        (lambda rows: rows.drop_columns(["value"]), "expected the column value"),
        (
            lambda rows: rows.set_column(2, "value", pa.array(["5"])),
            r"expected rows\.value to be int64, got string",
        ),
    ],
)
def test_appended_rows_of_other_columns_are_refused(
    tmp_path: Path, change: Any, reason: str
) -> None:
    put(tmp_path, table([1], [day(2000)], [5]))
    with pytest.raises(DataError, match=f"{reason}.*--replace"):
        put(tmp_path, change(table([2], [day(2000)], [6])), adding=True)
    assert values(tmp_path) == [5]


def test_a_source_does_not_shrink_unless_somebody_says_so(tmp_path: Path) -> None:
    asked: list[Any] = []
    big, small = table([1, 2], [day(2000)] * 2, [5, 6]), table([1], [day(2000)], [7])
    put(tmp_path, big)
    with pytest.raises(Refused, match=r"rows 2 → 1 rows.*--replace.*--append"):
        write_sources(tmp_path, {"rows": small}, may_shrink=lambda found: bool(asked.append(found)))
    assert asked == [[FewerRows("rows", 2, 1)]]
    assert values(tmp_path) == [5, 6]
    write_sources(tmp_path, {"rows": small}, may_shrink=lambda _: True)
    assert values(tmp_path) == [7]


def test_keys_that_name_nothing_are_refused(tmp_path: Path) -> None:
    rows = {"rows": table([1], [day(2000)], [5])}
    with pytest.raises(DataError, match=r"KEYS of ingest\.py name the source row"):
        write_sources(tmp_path, rows, keys={"row": ["id"]})
    with pytest.raises(DataError, match="Id among the KEYS of rows"):
        write_sources(tmp_path, rows, keys={"rows": ["Id"]})
    with pytest.raises(DataError, match=r"a list, as in \['id'\]"):
        write_sources(tmp_path, rows, keys={"rows": "id"})
    assert names(tmp_path) == []


def test_a_table_does_not_replace_a_folder_that_others_fill(tmp_path: Path) -> None:
    write_sources(tmp_path, {"history": pa.schema([("id", pa.int64())])})
    with pytest.raises(DataError, match="folder that others fill"):
        write_sources(tmp_path, {"history": pa.table({"id": [1]})})


def test_two_ingests_at_once_do_not_mix(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / LOCK_FILE, "held by the test"),
        pytest.raises(Locked, match="another ingest"),
    ):
        put(tmp_path, table([1], [day(2000)], [5]))


TWO = {"one": pa.table({"value": [1]}), "two": pa.table({"value": [1]})}
OTHERS = {
    "one": pa.table({"value": [2]}),
    "two": pa.table({"value": [2]}),
    "three": pa.table({"value": [2]}),
}


def held(folder: Path) -> dict[str, list[Any]]:
    return {
        path.stem: pq.read_table(path)["value"].to_pylist()
        for path in sorted(folder.glob("*.parquet"))
    }


class Killed(BaseException):
    """Ends the process between two renames."""


@pytest.mark.parametrize("renames", [0, 1, 2])
@pytest.mark.parametrize("ending", [OSError, Killed])
def test_a_swap_that_breaks_off_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int, ending: type[BaseException]
) -> None:
    """At once where it was an error, by the next ingest where the process was killed."""
    write_sources(tmp_path, TWO)
    done: list[str] = []
    replace = os.replace

    def rename(source: Path, target: Path) -> None:
        if source.parent.name == potluck.stores.ingest.swap.STAGED:
            if len(done) == renames:
                raise ending("disk")
            done.append(target.name)
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(potluck.stores.ingest.swap.os, "replace", rename)
        with pytest.raises((DataError, Killed)):
            write_sources(tmp_path, OTHERS)
    if ending is Killed:
        with pytest.raises(Refused):
            write_sources(
                tmp_path, {"one": pa.table({"value": [3]}).slice(1)}, may_shrink=lambda _: False
            )
    assert held(tmp_path) == {"one": [1], "two": [1]}


def test_what_was_replaced_stays_beside_until_the_next_ingest(tmp_path: Path) -> None:
    write_sources(tmp_path, TWO)
    write_sources(tmp_path, OTHERS)
    assert held(tmp_path / potluck.stores.ingest.swap.REPLACED) == {"one": [1], "two": [1]}
