"""Parquet files by the declarations of CSV columns."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from potluck.contract.errors import DataError
from potluck.stores.ingest.csv_cells import CsvColumn
from potluck.stores.ingest.parquet_table import read_parquet


def read(folder: Path, values: Any, column: CsvColumn) -> list[Any]:
    path = folder / "some.parquet"
    pq.write_table(pa.table({"a": values, "more": pa.nulls(len(values))}), path)
    return list(read_parquet(path, {"a": column})["a"].to_pylist())


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        (pa.array([1.0, float("nan")]), CsvColumn("int64"), [1, None]),
        (pa.array([1, None], pa.int8()), CsvColumn("float64"), [1.0, None]),
        (pa.array(["a", None]).dictionary_encode(), CsvColumn("string"), ["a", None]),
        (pa.array([date(1939, 1, 1)]), CsvColumn("date"), [date(1939, 1, 1)]),
        (
            pa.array([datetime(2025, 1, 31, 13)], pa.timestamp("ns")),
            CsvColumn("timestamp", timezone="Europe/Vienna"),
            [datetime(2025, 1, 31, 12, tzinfo=UTC)],
        ),
    ],
)
def test_columns_come_in_the_declared_types(
    tmp_path: Path, values: Any, column: CsvColumn, expected: Any
) -> None:
    assert read(tmp_path, values, column) == expected


@pytest.mark.parametrize(
    ("values", "column", "reason"),
    [
        (pa.array([1.5]), CsvColumn("int64"), "column a: expected int64, got double"),
        (pa.array(["x"]), CsvColumn("float64"), "column a: expected float64, got string"),
        (
            pa.array([1, None]),
            CsvColumn("int64", required=True),
            "column a: expected no missing value.*row 2",
        ),
        (pa.array([], pa.int64()), CsvColumn("int64"), "holds no row"),
    ],
)
def test_what_was_not_declared_is_refused(
    tmp_path: Path, values: Any, column: CsvColumn, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        read(tmp_path, values, column)


def test_a_file_that_is_none_and_a_column_that_is_absent_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    with pytest.raises(DataError, match="can't be read"):
        read_parquet(path, {})
    path.write_text("a,b\n")
    with pytest.raises(DataError, match="expected parquet"):
        read_parquet(path, {})
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DataError, match="expected also the column b"):
        read_parquet(path, {"b": CsvColumn("int64")})
    optional = read_parquet(path, {"a": CsvColumn("int64"), "b": CsvColumn("int64", optional=True)})
    assert optional.to_pydict() == {"a": [1], "b": [None]}
