"""Rows of a file become records that the server takes; what can't be read is told in its place."""

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.client.batch_calls import MOST_ROWS, batches
from cli.client.records import CHUNK, RowFormat, Unreadable
from cli.client.row_files import stream_rows
from potluck.contract.errors import DataError, UsageError

DTYPES = {"id": "int64", "area": "float64", "town": "string", "new": "bool"}
ROW_FORMAT = RowFormat(DTYPES, service="price")


def read(text: str | bytes, row_format: RowFormat = ROW_FORMAT) -> list[Any]:
    """Records, and the reasons of those that are none."""
    content = text if isinstance(text, bytes) else text.encode()
    rows = stream_rows(io.BytesIO(content), row_format)  # type: ignore[arg-type]
    return [row.reason if isinstance(row, Unreadable) else json.loads(row) for row in rows]


def test_csv_cells_become_values_of_the_contracts_types() -> None:
    text = "id,area,town,new\n1,2,3,true\n2.0,2.5, Ames ,FALSE\n"
    assert read(text) == [
        {"id": 1, "area": 2.0, "town": "3", "new": True},
        {"id": 2, "area": 2.5, "town": "Ames", "new": False},
    ]


def test_an_empty_cell_is_missing_and_so_is_what_the_caller_names() -> None:
    text = "id,area,town\n1,,NA\n"
    assert read(text) == [{"id": 1, "town": "NA"}]
    assert read(text, RowFormat(DTYPES, frozenset({"NA"}))) == [{"id": 1}]


def test_a_cell_that_does_not_fit_is_left_to_the_server_which_names_the_field() -> None:
    assert read("id,area\n1.5,nan\n") == [{"id": "1.5", "area": "nan"}]


def test_a_number_that_python_does_not_read_is_left_to_the_server() -> None:
    digits = "1" * 5000
    assert read(f"id\n{digits}\n") == [{"id": digits}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(delimiter: str) -> None:
    assert read(f"id{delimiter}town\r\n1{delimiter}Ames\r\n") == [{"id": 1, "town": "Ames"}]


def test_quotes_blank_lines_and_a_byte_order_mark_are_understood() -> None:
    assert read('\ufeffid,town\n\n1,"a, b\nc"\n\n') == [{"id": 1, "town": "a, b\nc"}]


def test_a_ragged_row_is_told_and_the_next_one_is_read() -> None:
    first, second, third = read("id,town\n1\n2,a,b\n3,c\n")
    assert first == "expected 2 cells, as the header has, got 1"
    assert second == "expected 2 cells, as the header has, got 3"
    assert third == {"id": 3, "town": "c"}


def test_a_row_in_another_encoding_is_told_and_the_next_one_is_read() -> None:
    first, second = read("id,town\n1,Köln\n2,Ulm\n".encode("cp1252"))
    assert "name another --encoding" in first
    assert second == {"id": 2, "town": "Ulm"}
    assert read("id,town\n1,Köln\n".encode("cp1252"), RowFormat(DTYPES, encoding="cp1252")) == [
        {"id": 1, "town": "Köln"}
    ]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("id,id", "names each column once, got id"),
        (
            "id,rooms",
            (
                "price takes no rooms; --only-known leaves such columns out. "
                "It takes: id, area, town, new"
            ),
        ),
        ("a,b", r"a header with fields of price \(id, area, town, new\), got a, b"),
    ],
)
def test_a_wrong_header_is_a_usage_error(header: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(f"{header}\n1,2\n")


def test_unknown_columns_are_left_out_on_demand_and_remembered() -> None:
    row_format = RowFormat(DTYPES, only_known=True)
    assert read("id,rooms\n1,2\n", row_format) == [{"id": 1}]
    assert read('{"id": 1, "floors": 2}', row_format) == [{"id": 1}]
    assert row_format.dropped == {"rooms", "floors"}


def test_json_lines_are_read_one_by_one() -> None:
    told = read('{"id": 1}\n\nnope\n[1]\n{"id": NaN}\n{"id": 2}')
    assert (told[0], told[-1]) == ({"id": 1}, {"id": 2})
    assert told[1].startswith("not valid JSON")
    assert "got a JSON list" in told[2]
    assert told[3].startswith("NaN and Infinity are no JSON")


def test_a_first_line_that_is_no_json_harms_no_other() -> None:
    first, second = read('{"id": 1\n{"id": 2}\n')
    assert first.startswith("not valid JSON")
    assert second == {"id": 2}


def test_one_record_may_take_several_lines() -> None:
    assert read(json.dumps({"id": 1, "town": "Ames"}, indent=2)) == [{"id": 1, "town": "Ames"}]


@pytest.mark.parametrize("text", ["", " \n\n", "\ufeff"])
def test_an_empty_file_is_told(text: str) -> None:
    with pytest.raises(DataError, match="expected rows, got an empty file"):
        read(text)


def test_parquet_is_told_what_to_do() -> None:
    with pytest.raises(UsageError, match="got a parquet file; write it as CSV"):
        read(b"PAR1\x00\x00")


@pytest.mark.parametrize("text", ['[{"id": 1}, {"id": ', '[{"id": 1}', '[{"id": 1}, nope]'])
def test_what_was_read_of_a_broken_array_is_sent_before_the_rest_is_refused(text: str) -> None:
    sent = batches(stream_rows(io.BytesIO(text.encode()), ROW_FORMAT))  # type: ignore[arg-type]
    assert next(sent) == [b'{"id":1}']
    with pytest.raises(DataError, match="after record 1 it can't be read"):
        next(sent)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
RECORDS = st.lists(
    st.dictionaries(
        st.sampled_from([*DTYPES]), VALUES.filter(lambda value: value != "\x00"), min_size=1
    )
)


@settings(max_examples=60, deadline=None)
@given(records=RECORDS, indent=st.sampled_from([None, 0, 3]))
def test_an_array_and_lines_hold_the_same_records_however_they_are_written(
    records: list[dict[str, Any]], indent: int | None
) -> None:
    assert read(json.dumps(records, indent=indent)) == records
    if records:
        assert read("\n".join(json.dumps(record) for record in records)) == records


def test_an_array_larger_than_what_is_read_at_once_is_whole() -> None:
    records = [{"id": number, "town": "x" * (number % 97)} for number in range(CHUNK // 16)]
    assert read(json.dumps(records)) == records


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 3_000_000), max_size=12))
def test_batches_hold_every_row_once_in_order_within_the_servers_limits(sizes: list[int]) -> None:
    rows = [b"x" * size for size in sizes]
    found = [*batches(iter(rows))]
    assert [row for batch in found for row in batch] == rows
    assert all(len(batch) == 1 or sum(map(len, batch)) <= 4 << 20 for batch in found)


def test_a_batch_holds_as_many_rows_as_one_call_takes() -> None:
    found = [*batches(iter([b"{}"] * (2 * MOST_ROWS + 1)))]
    assert [len(batch) for batch in found] == [MOST_ROWS, MOST_ROWS, 1]
