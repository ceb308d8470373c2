"""Reading CSV files: what a cell becomes, and how a wrong file is refused."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from potluck.contract.errors import DataError, UsageError
from potluck.stores.ingest.csv_cells import CsvColumn
from potluck.stores.ingest.csv_source import BLOCK_ROWS, join_tables, read_csv

INTEGER, NUMBER, TEXT = CsvColumn("int64"), CsvColumn("float64"), CsvColumn("string")
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(content: str | bytes, name: str = "some.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def one_column(write: Write, column: CsvColumn, *cells: str) -> list[object]:
    path = write("\n".join(["a,last", *(f"{cell},x" for cell in cells)]))
    values: list[object] = read_csv(path, {"a": column, "last": TEXT}).table["a"].to_pylist()
    return values


def refusal(path: Path, columns: Mapping[str, CsvColumn]) -> str:
    with pytest.raises(DataError) as caught:
        read_csv(path, columns)
    return str(caught.value)


@pytest.mark.parametrize(
    ("column", "texts", "values"),
    [
        (INTEGER, ["65", "65.0", "-3", "+4", "9007199254740992"], [65, 65, -3, 4, 2**53]),
        (NUMBER, ["1", "2.5", "-.5", "1e3"], [1.0, 2.5, -0.5, 1000.0]),
        (TEXT, ["65", "a b", "nan", "None"], ["65", "a b", "nan", "None"]),
        (CsvColumn("bool"), ["true", "False", "1", "0"], [True, False, True, False]),
    ],
)
def test_a_cell_becomes_a_value_of_the_declared_type(
    write: Write, column: CsvColumn, texts: list[str], values: list[object]
) -> None:
    assert one_column(write, column, *texts) == values


@pytest.mark.parametrize(
    ("column", "text"),
    [
        *(
            (INTEGER, text)
            for text in (
                "big",
                "65.5",
                "1_000",
                "٣",
                "1e3",
                "9007199254740993",
                "NaN",
                "0x1",
                "--1",
            )
        ),
        *(
            (NUMBER, text)
            for text in ("big", "NaN", "nan", "Infinity", "-inf", "1e999", "1_0", "1;5")
        ),
        *((CsvColumn("bool"), text) for text in ("yes", "2")),
        (CsvColumn("int64", least=1, most=12), "13"),
        (CsvColumn("int64", least=1, most=12), "0"),
        (CsvColumn("float64", least=0), "-0.5"),
        (CsvColumn("int64", required=True), "NA"),
        (CsvColumn("string", required=True), ""),
    ],
)
def test_a_wrong_cell_is_named_by_file_line_column_and_content(
    write: Write, column: CsvColumn, text: str
) -> None:
    path = write(f"a,b\n{'true' if column.dtype == 'bool' else '1'},x\n{text},x\n")
    message = refusal(path, {"a": column, "b": TEXT})
    assert str(path) in message
    assert "line 3, column a: expected" in message
    assert repr(text) in message
    assert "line 2" not in message


def test_missing_texts_become_null_and_never_nan(write: Write) -> None:
    for column in (INTEGER, NUMBER, TEXT):
        path = write("a,b\nNA,x\n,x\n7,x\n")
        values = read_csv(path, {"a": column, "b": TEXT}).table["a"]
        assert values.null_count == 2
        assert values.to_pylist()[2] in (7, "7")


def test_which_texts_are_missing_is_declared(write: Write) -> None:
    column = CsvColumn("int64", missing=frozenset({"-1", "?"}))
    assert one_column(write, column, "-1", "?", "5") == [None, None, 5]


def test_a_text_that_stands_for_a_category_is_not_missing(write: Write) -> None:
    column = CsvColumn("string", categories={"NA": "None"})
    assert one_column(write, column, "NA", "Pave", "") == ["None", "Pave", None]


def test_stray_spaces_are_cut_from_header_and_cells(write: Write) -> None:
    path = write(" a , b \n 7 ,  Pave \n NA ,NA \n")
    assert read_csv(path, {"a": INTEGER, "b": TEXT}).table.to_pydict() == {
        "a": [7, None],
        "b": ["Pave", None],
    }


def test_columns_come_in_the_declared_order_and_types(write: Write) -> None:
    table = read_csv(write("b,a\nx,1\n"), {"a": NUMBER, "b": TEXT}).table
    assert table.schema == pa.schema([("a", pa.float64()), ("b", pa.string())])


def test_byte_order_mark_windows_line_ends_and_blank_lines_are_accepted(write: Write) -> None:
    found = read_csv(write(b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n2,y\r\n\r\n"), {"a": INTEGER, "b": TEXT})
    assert found.table["a"].to_pylist() == [1, 2]
    assert found.lines == [2, 4]


def test_lines_are_counted_through_quoted_line_breaks(write: Write) -> None:
    message = refusal(write('a,b\n"x\ny",1\nz,big\n'), {"a": TEXT, "b": INTEGER})
    assert "line 4, column b" in message


def test_an_absent_optional_column_is_all_missing(write: Write) -> None:
    table = read_csv(
        write("a\n1\n2\n"), {"a": INTEGER, "b": CsvColumn("float64", optional=True)}
    ).table
    assert table["b"].type == pa.float64()
    assert table["b"].to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "holds a header and no row"),
        ("a\n1\n", "line 1: expected also the column b"),
        ("a,b,c\n1,x,2\n", "line 1: expected only declared columns, got c"),
        ("a,b,a\n1,x,2\n", "line 1: expected each column once, got a"),
        ("a,b\n1,x\n2\n", "line 3, expected 2 cells as in the header, got 1"),
        ("a,b\n1,x,y\n", "line 2, expected 2 cells as in the header, got 3"),
        ('a,b\n1,"x\n', "expected CSV, got a broken row"),
        (b"a,b\n1,x\n2,caf\xe9\n", "line 3: expected UTF-8"),
    ],
)
def test_a_file_of_another_form_is_refused_with_its_place(
    write: Write, content: str | bytes, reason: str
) -> None:
    path = write(content)
    message = refusal(path, {"a": INTEGER, "b": TEXT})
    assert reason in message
    assert str(path) in message


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    assert "expected a CSV file at" in refusal(tmp_path / "none.csv", {"a": INTEGER})
    assert "expected a CSV file at" in refusal(tmp_path, {"a": INTEGER})


def test_all_errors_of_a_file_come_at_once_in_the_order_of_lines(write: Write) -> None:
    message = refusal(write("a,b\n1,big\nbig,2\n3\n"), {"a": INTEGER, "b": INTEGER})
    found = [
        message.index(text)
        for text in ("line 2, column b", "line 3, column a", "line 4, expected 2 cells")
    ]
    assert found == sorted(found)


def test_the_list_of_errors_ends_after_twenty(write: Write) -> None:
    message = refusal(write("a\n" + "big\n" * 500), {"a": INTEGER})
    assert "line 21, column a" in message
    assert "line 22" not in message
    assert "more" in message


def test_a_long_cell_is_cut_in_the_message(write: Write) -> None:
    assert len(refusal(write("a\n" + "x" * 10_000 + "\n"), {"a": INTEGER})) < 500


def test_rows_beyond_a_block_are_read_and_located(write: Write) -> None:
    rows = BLOCK_ROWS + 5
    numbers = "\n".join(str(number) for number in range(rows))
    assert read_csv(write(f"a\n{numbers}\n"), {"a": INTEGER}).table["a"].to_pylist() == list(
        range(rows)
    )
    assert f"line {rows + 2}, column a" in refusal(write(f"a\n{numbers}\nbig\n"), {"a": INTEGER})


def test_files_are_joined_in_order(write: Write) -> None:
    parts = [
        read_csv(write(f"id\n{start}\n{start + 1}\n", f"{start}.csv"), {"id": INTEGER})
        for start in (5, 1)
    ]
    assert join_tables(parts, "id")["id"].to_pylist() == [5, 6, 1, 2]


def test_a_key_in_two_files_is_refused_with_both_places(write: Write) -> None:
    parts = [
        read_csv(write(text, name), {"id": INTEGER})
        for name, text in (("a.csv", "id\n1\n2\n"), ("b.csv", "id\n2\n"))
    ]
    with pytest.raises(
        DataError, match=r"b\.csv(.|\n)*line 2, column id(.|\n)*2 as in .*a\.csv line 3"
    ):
        join_tables(parts, "id")


def test_a_key_twice_in_one_file_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match="line 4, column id"):
        join_tables([read_csv(write("id\n1\n2\n1\n"), {"id": INTEGER})], "id")


def cells(write: Write, column: CsvColumn, *texts: str, **dialect: Any) -> list[object]:
    """One column of a file whose cells are divided by semicolons."""
    path = write("\n".join(["a;last", *(f"{text};x" for text in texts)]))
    read = read_csv(path, {"a": column, "last": TEXT}, delimiter=";", **dialect)
    values: list[object] = read.table["a"].to_pylist()
    return values


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_cells_may_be_divided_by_something_else_than_commas(write: Write, delimiter: str) -> None:
    path = write(f"a{delimiter}b\n1{delimiter}x,y\n")
    read = read_csv(path, {"a": INTEGER, "b": TEXT}, delimiter=delimiter)
    assert read.table.to_pylist() == [{"a": 1, "b": "x,y"}]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16", "utf-8"])
def test_a_file_may_have_another_encoding(write: Write, encoding: str) -> None:
    path = write("name\ncafé\n".encode(encoding))
    assert read_csv(path, {"name": TEXT}, encoding=encoding).table["name"].to_pylist() == ["café"]


def test_bytes_of_another_encoding_are_named_by_line(write: Write) -> None:
    path = write(b"a\nx\n\x81\n")
    with pytest.raises(DataError, match="line 3: expected CP1252"):
        read_csv(path, {"a": TEXT}, encoding="cp1252")
    with pytest.raises(DataError, match="line 1: expected UTF-16"):
        read_csv(path, {"a": TEXT}, encoding="utf-16")
    with pytest.raises(DataError, match="encoding that Python knows"):
        read_csv(path, {"a": TEXT}, encoding="cp12520")


def test_a_declaration_that_can_not_be_is_refused(write: Write) -> None:
    with pytest.raises(UsageError, match="time zone such as"):
        CsvColumn("timestamp", timezone="Mars/Olympus")
    with pytest.raises(DataError, match="delimiter of one character"):
        read_csv(write("a\n1\n"), {"a": INTEGER}, delimiter=";;")


def test_a_decimal_comma_is_read_where_it_is_declared(write: Write) -> None:
    comma = {"decimal": ",", "thousands": "."}
    assert cells(write, NUMBER, "1,5", "-,5", "1.234,5", "2.000", "7", **comma) == [
        1.5,
        -0.5,
        1234.5,
        2000.0,
        7.0,
    ]
    assert cells(write, INTEGER, "1.234.567", "65,0", **comma) == [1234567, 65]
    assert cells(write, NUMBER, "1,234.5", "12,000", thousands=",") == [1234.5, 12000.0]


@pytest.mark.parametrize("text", ["1.5", "1,5,5", "1.23,5", "12.34"])
def test_a_number_in_another_notation_is_refused(write: Write, text: str) -> None:
    with pytest.raises(
        DataError, match="line 2, column a: expected a finite number with a decimal ','"
    ):
        cells(write, NUMBER, text, decimal=",", thousands="." if text == "12.34" else "")


@pytest.mark.parametrize(
    ("form", "text", "day"),
    [
        (None, "1939-10-01", date(1939, 10, 1)),
        ("%d.%m.%Y", "1.10.1939", date(1939, 10, 1)),
        ("%m/%d/%Y", "10/01/1939", date(1939, 10, 1)),
    ],
)
def test_days_are_read_as_declared(write: Write, form: str | None, text: str, day: date) -> None:
    assert cells(write, CsvColumn("date", format=form), text, "NA") == [day, None]


NOON = datetime(2025, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("form", "zone", "text"),
    [
        (None, "UTC", "2025-01-31T12:00"),
        (None, "Europe/Vienna", "2025-01-31 13:00:00"),
        (None, "Europe/Vienna", "2025-01-31T12:00:00Z"),
        ("%d.%m.%Y %H:%M", "America/New_York", "31.01.2025 07:00"),
        ("epoch", "UTC", str(int(NOON.timestamp()))),
        ("epoch_ms", "UTC", f"{int(NOON.timestamp())}000"),
    ],
)
def test_times_are_read_as_declared_and_kept_in_utc(
    write: Write, form: str | None, zone: str, text: str
) -> None:
    assert cells(write, CsvColumn("timestamp", format=form, timezone=zone), text) == [NOON]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (CsvColumn("date"), "31.1.2025"),
        (CsvColumn("date"), "20250131"),
        (CsvColumn("date", format="%d.%m.%Y"), "2025-01-31"),
        (CsvColumn("date", format="%d.%m.%Y"), "30.2.2025"),
        (CsvColumn("timestamp"), "noon"),
        (CsvColumn("timestamp", timezone="Asia/Tokyo"), "0001-01-01T00:00"),
        (CsvColumn("timestamp", format="epoch"), "1e99"),
    ],
)
def test_a_wrong_day_or_time_is_named(write: Write, column: CsvColumn, text: str) -> None:
    with pytest.raises(DataError, match=f"line 2, column a: expected a .*got {text!r}"):
        cells(write, column, text)


def test_what_is_missing_is_declared_for_the_file_or_for_a_column(write: Write) -> None:
    path = write("a,b\n?,?\n-1,-1\n")
    columns = {"a": INTEGER, "b": CsvColumn("string", missing=frozenset({"-1"}))}
    read = read_csv(path, columns, missing={"?"})
    assert read.table.to_pydict() == {"a": [None, -1], "b": ["?", None]}
