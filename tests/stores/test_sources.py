"""From `ingest.py` to parquet: types, nulls, and all or nothing."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from potluck.contract.errors import DataError, UsageError
from potluck.stores.sources import load_ingest, write_parquet, write_sources

NOON = datetime(2010, 7, 31, 12, 0, 0, 123456, tzinfo=UTC)


def written(folder: Path, column: Any) -> pa.Table:
    write_sources(folder, {"rows": pa.table({"value": column})})
    return pq.read_table(folder / "rows.parquet")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_source_is_a_file_with_its_rows(tmp_path: Path) -> None:
    rows = write_sources(tmp_path / "new", {"one": pa.table({"a": [1, 2]}), "two": pa.table({"b": ["x"]})})
    assert rows == {"one": 2, "two": 1}
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
    assert written(tmp_path, pa.array([value, None], pa.int64()))["value"].to_pylist() == [value, None]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(2**53 + 1, pa.int64()), (-(2**53) - 1, pa.int64()), (-(2**63), pa.int64()), (2**63, pa.uint64())],
)
def test_integers_beyond_it_are_refused_by_source_and_column(tmp_path: Path, value: int, dtype: pa.DataType) -> None:
    with pytest.raises(DataError, match=r"rows\.value holds .*, beyond ±2\^53"):
        written(tmp_path, pa.array([1, value], dtype))


@pytest.mark.parametrize("dtype", [pa.int64(), pa.float64(), pa.string(), pa.timestamp("ns", "UTC")])
@pytest.mark.parametrize("values", [[], [None, None]])
def test_a_column_without_values_is_written(tmp_path: Path, dtype: pa.DataType, values: list[None]) -> None:
    assert written(tmp_path, pa.array(values, dtype))["value"].to_pylist() == values


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Vienna"])
def test_timestamps_are_microseconds_in_utc(tmp_path: Path, unit: str, zone: str | None) -> None:
    moment = NOON if unit in ("us", "ns") else NOON.replace(microsecond=0)
    found = written(tmp_path, pa.array([moment, None], pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, zone)))
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
        write_sources(tmp_path, {"one": pa.table({"a": [2]}), "two": pa.table({"b": [2**60]}), "three": pa.table({})})
    assert names(tmp_path) == ["one.parquet", "two.parquet"]
    assert pq.read_table(tmp_path / "one.parquet")["a"].to_pylist() == [1]


def test_a_table_that_parquet_can_not_hold_replaces_nothing(tmp_path: Path) -> None:
    write_sources(tmp_path, {"one": pa.table({"a": [1]})})
    unwritable = pa.table({"b": pa.array([None], pa.month_day_nano_interval())})
    with pytest.raises(pa.ArrowException):
        write_sources(tmp_path, {"one": pa.table({"a": [2]}), "two": unwritable})
    assert names(tmp_path) == ["one.parquet"]
    assert pq.read_table(tmp_path / "one.parquet")["a"].to_pylist() == [1]


def test_a_schema_makes_a_folder_for_others_to_fill(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64()), ("at", pa.timestamp("us", tz="UTC"))])
    assert write_sources(tmp_path, {"history": schema}) == {"history": 0}
    assert pq.read_table(tmp_path / "history.parquet").schema.equals(schema)


def test_a_schema_leaves_what_others_filled(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64())])
    write_sources(tmp_path, {"history": schema})
    write_parquet(tmp_path / "history.parquet" / "1.parquet", pa.table({"id": [1, 2]}))
    assert write_sources(tmp_path, {"history": schema}) == {}
    assert pq.read_table(tmp_path / "history.parquet").num_rows == 2


def test_the_ingest_of_a_repo_is_loaded_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_ingest.py").write_text("ROWS = 3\n")
    (tmp_path / "ingest.py").write_text(
        "from neighbour_of_ingest import ROWS\n\ndef ingest(files, rows, seed):\n    return (ROWS, files, rows, seed)\n"
    )
    assert load_ingest(tmp_path)((), 7, 1) == (3, (), 7, 1)  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("text", [None, "", "ingest_ = print\n"])
def test_a_repo_without_an_ingest_is_a_usage_error(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ingest.py").write_text(text)
    with pytest.raises(UsageError, match=r"ingest\(files, rows, seed\)"):
        load_ingest(tmp_path)
