"""What `init` finds in a file: how it is written, types, days, and what is missing."""

import codecs
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from potluck.contract.errors import DataError, UsageError
from potluck.stores.ingest.csv_cells import CsvColumn
from potluck.stores.ingest.parquet_table import read_parquet
from scaffold.profile import ColumnProfile
from scaffold.table import profile_table
from scaffold.wishes import Wishes, nobody_asked


def column(look: Any, *cells: object, **options: Any) -> ColumnProfile:
    """The first of two columns."""
    table = look({"a": cells, "last": ["x"] * len(cells)}, **options)
    found: ColumnProfile = table.profiles["a"]
    return found


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(look: Any, delimiter: str) -> None:
    table = look({"a": ["1,5", "2,5"], "b": ["x", "y|z"], "c": ["p;q", "r"]}, delimiter=delimiter)
    assert table.delimiter == delimiter
    assert list(table.profiles) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("cp1252", "cp1252"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
    ],
)
def test_the_encoding_is_found(look: Any, encoding: str, found: str) -> None:
    table = look({"name": ["Zoë – 5 €"], "b": ["x"]}, encoding=encoding)
    assert table.encoding == found
    assert table.profiles["name"].values.to_pylist() == ["Zoë – 5 €"]


def test_bytes_that_cp1252_lacks_are_latin_1(look: Any) -> None:
    assert look({"a": ["\x81"], "b": ["x"]}, encoding="latin-1").encoding == "latin-1"


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "-2", "30"], "int64"),
        (["1.0", "2.0", ""], "int64"),
        (["1.0", "2.0"], "float64"),
        (["1.5", "2", "1e3"], "float64"),
        (["true", "False", ""], "bool"),
        (["0", "1"], "int64"),
        (["yes", "no"], "string"),
        (["007", "123"], "string"),
        (["9007199254740993", "1"], "string"),
        (["2024-01-31", "1939-10-01"], "date"),
        (["31.1.2024", "1.2.2024"], "date"),
        (["2024-01-31 10:00:00", "2024-01-31 10:00:01"], "timestamp"),
        (["1/31/2024 0:00", "2/1/2024 23:59"], "timestamp"),
        (["31 Jan 2024", "1 May 2024"], "date"),
        (["Jan 31, 2024", "May 1, 2024"], "date"),
        (["2024-01-31T10:00:00+02:00", "2024-01-31T10:00:00Z"], "timestamp"),
        (["1.2.3", "4.5.6"], "string"),
    ],
)
def test_the_type_is_the_one_that_holds_all_cells(look: Any, cells: list[str], dtype: str) -> None:
    assert column(look, *cells).dtype == dtype


@pytest.mark.parametrize("mark", ["", "NA", "N/A", "null", "?", "-", "NaN"])
def test_a_missing_mark_is_found_in_every_kind_of_column(look: Any, mark: str) -> None:
    for cells, dtype in (
        (["1", "2"], "int64"),
        (["1.5"], "float64"),
        (["x"], "string"),
        (["2024-01-31"], "date"),
    ):
        found = column(look, *cells, mark)
        assert (found.dtype, found.missing) == (dtype, 1)


def test_a_word_is_missing_among_numbers_and_a_category_among_words(look: Any) -> None:
    assert column(look, "1", "2", "unknown").values.to_pylist() == [1, 2, None]
    assert column(look, "low", "high", "unknown").missing == 0


def test_a_minus_beside_a_plus_is_no_missing_mark(look: Any) -> None:
    assert column(look, "+", "-", "-").values.to_pylist() == ["+", "-", "-"]


def test_a_text_that_somebody_calls_missing_is(look: Any) -> None:
    assert column(
        look, "1", "-999", "gone", missing=frozenset({"-999", "gone"})
    ).values.to_pylist() == [1, None, None]


def test_a_few_words_among_numbers_are_told(look: Any) -> None:
    found = column(look, *map(str, range(40)), "n.k.")
    assert found.dtype == "string"
    assert "1 of 41 cells are no number ('n.k.')" in found.notes[0]


def test_decimal_commas_and_points_between_thousands_are_found(look: Any) -> None:
    found = column(look, "1.234,5", "0,25", delimiter=";")
    assert found.values.to_pylist() == [1234.5, 0.25]
    assert column(look, "1,234,567.5", "3", delimiter=";").values.to_pylist() == [1234567.5, 3.0]


def test_a_comma_that_may_mean_either_is_not_guessed(look: Any) -> None:
    with pytest.raises(UsageError, match="--decimal"):
        column(look, "1,234", "5,678", delimiter=";")
    assert column(look, "1,234", delimiter=";", decimal=".").values.to_pylist() == [1234]
    assert column(look, "1,234", delimiter=";", decimal=",").values.to_pylist() == [1.234]


def test_day_and_month_that_can_not_be_told_apart_are_both_kept_in_mind(look: Any) -> None:
    assert [each.format for each in column(look, "01/02/2024").declared] == ["%d/%m/%Y", "%m/%d/%Y"]
    assert [each.format for each in column(look, "01/02/2024", "13/02/2024").declared] == [
        "%d/%m/%Y"
    ]
    assert [each.format for each in column(look, "5 May 2024").declared] == ["%d %b %Y"]
    assert [
        each.format for each in column(look, "01/02/2024", date_format="%m/%d/%Y").declared
    ] == ["%m/%d/%Y"]


@pytest.mark.parametrize(
    ("cell", "form"),
    [
        ("1962", "%Y"),
        ("20240131", "%Y%m%d"),
        ("1706700000", "epoch"),
        ("1706700000000", "epoch_ms"),
    ],
)
def test_numbers_are_dates_only_where_somebody_says_so(look: Any, cell: str, form: str) -> None:
    assert column(look, cell).dtype == "int64"
    assert column(look, cell, time="a").column.format == form


def test_a_time_that_is_none_is_told_with_an_example(look: Any) -> None:
    with pytest.raises(UsageError, match=r"--time a: .*'soon'.*--date-format"):
        column(look, "soon", time="a")
    with pytest.raises(UsageError, match="'soon', which is not written as %d"):
        column(look, "1.2.2024", "soon", time="a", date_format="%d.%m.%Y")


def test_names_that_no_store_or_model_holds_are_changed(look: Any) -> None:
    headers = ["a.b", "größe (m²)", "", "A", "a", "row_id", "event_timestamp", "x:y"]
    names = [each.name for each in look({header: ["1"] for header in headers}).profiles.values()]
    assert names == [
        "a_b",
        "größe_m²",
        "column_3",
        "A",
        "a_2",
        "row_id_2",
        "event_timestamp_2",
        "x_y",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04", "zip or Excel"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"a,b\n", "holds a header and no row"),
        (b"a\n1\n2\n", "found no such; name the character with --delimiter"),
        (b"1,2\n3,4\n", "expected a header"),
        (b"a,b\n1,2\n3\n" + b"1,2\n" * 99, "line 3, expected 2 cells"),
        (b"a,a\n1,2\n", "expected each column once"),
        (b"PAR1 and no more", "expected parquet"),
        (codecs.BOM_UTF16_LE + b"a", "can't be read as utf-16"),
    ],
)
def test_what_is_no_table_is_refused_in_words(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    with pytest.raises((DataError, UsageError), match=reason):
        profile_table(path, Wishes(), nobody_asked)


@pytest.mark.parametrize("mark", ["-", "unknown", "?"])
def test_dates_of_a_parquet_file_may_be_missing_as_text(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "some.parquet"
    days = ["31.01.2024", mark, "01.02.2024"]
    pq.write_table(pa.table({"day": days, "b": [1, 2, 3]}), path)
    found = profile_table(path, Wishes(), nobody_asked).profiles["day"]
    assert found.dtype == "date"
    assert [value is None for value in found.values.to_pylist()] == [False, True, False]
    assert found.column.missing == {mark, ""}
    assert found.marks == {mark}
    read = read_parquet(path, {"day": found.column, "b": CsvColumn("int64")})
    assert read["day"].null_count == 1


def test_parquet_columns_keep_their_types(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    columns = {
        "whole": pa.array([1, None]),
        "huge": pa.array([2**60, 1]),
        "number": pa.array([1.5, float("nan")]),
        "word": pa.array(["a", "b"]).dictionary_encode(),
        "day": pa.array(["2024-01-31", None]),
        "at": pa.array([0, 1], pa.timestamp("ns")),
        "list": pa.array([[1], [2]]),
    }
    pq.write_table(pa.table(columns), path)
    found = profile_table(path, Wishes(), nobody_asked).profiles
    dtypes = {name: each.dtype for name, each in found.items() if each.declared}
    assert dtypes == {
        "whole": "int64",
        "huge": "string",
        "number": "float64",
        "word": "string",
        "day": "date",
        "at": "timestamp",
    }
    assert found["number"].missing == 1
    assert found["list"].declared == ()
